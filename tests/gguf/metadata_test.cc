// SPDX-License-Identifier: Apache-2.0
#include "lib/gguf/metadata.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>

#include "tests/gguf/tiny_file.h"

namespace ra::gguf {
namespace {

using namespace ra::testing;

Metadata parse(const GgufWriter& w, std::uint64_t keys) {
  const auto bytes = w.bytes();
  Cursor in(bytes, "f");
  for (int i = 0; i < 6; ++i) in.read<std::uint32_t>("header");
  Metadata out = Metadata::read(in, keys);
  EXPECT_EQ(in.left(), 0u);
  return out;
}

template <class T>
T value(const Metadata& m, std::string_view key) {
  const Value* v = m.find(key);
  if (!v || !std::holds_alternative<T>(*v)) {
    ADD_FAILURE() << key;
    return T{};
  }
  return std::get<T>(*v);
}

template <class T>
std::vector<T> items(const Metadata& m, std::string_view key) {
  return std::get<std::vector<T>>(value<Array>(m, key));
}

TEST(MetadataTest, ReadsEveryScalarTypeAtItsLimits) {
  GgufWriter w;
  w.u8("u8", 255).i8("i8", -128).u16("u16", 65535).i16("i16", -32768);
  w.u32("u32", 0xffffffffu).i32("i32", std::numeric_limits<std::int32_t>::min());
  w.u64("u64", static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()));
  w.i64("i64", std::numeric_limits<std::int64_t>::min());
  w.f32("f32", 0.1f).f64("f64", 1e-300).f32("nan", NAN).f64("inf", INFINITY);
  w.boolean("no", 0).boolean("yes", 1).string("text", "x\xff\0y").string("empty", "");
  const Metadata m = parse(w, 16);
  EXPECT_EQ(value<std::int64_t>(m, "u8"), 255);
  EXPECT_EQ(value<std::int64_t>(m, "i8"), -128);
  EXPECT_EQ(value<std::int64_t>(m, "u16"), 65535);
  EXPECT_EQ(value<std::int64_t>(m, "i16"), -32768);
  EXPECT_EQ(value<std::int64_t>(m, "u32"), 4294967295);
  EXPECT_EQ(value<std::int64_t>(m, "i32"), -2147483648LL);
  EXPECT_EQ(value<std::int64_t>(m, "u64"), std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(value<std::int64_t>(m, "i64"), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(value<double>(m, "f32"), static_cast<double>(0.1f));
  EXPECT_EQ(value<double>(m, "f64"), 1e-300);
  EXPECT_TRUE(std::isnan(value<double>(m, "nan")));
  EXPECT_TRUE(std::isinf(value<double>(m, "inf")));
  EXPECT_FALSE(value<bool>(m, "no"));
  EXPECT_TRUE(value<bool>(m, "yes"));
  EXPECT_EQ(value<std::string>(m, "text"), std::string("x\xff"));
  EXPECT_EQ(value<std::string>(m, "empty"), "");
  EXPECT_EQ(m.find("absent"), nullptr);
}

TEST(MetadataTest, KeepsTheOrderOfTheFile) {
  GgufWriter w;
  for (const char* key : {"z", "a", "m"}) w.u8(key, 1);
  const Metadata m = parse(w, 3);
  ASSERT_EQ(m.entries().size(), 3u);
  EXPECT_EQ(m.entries()[0].first, "z");
  EXPECT_EQ(m.entries()[2].first, "m");
}

TEST(MetadataTest, ReadsArraysOfEveryElementType) {
  GgufWriter w;
  w.numbers<std::uint8_t>("u8", kU8, {0, 255}).numbers<std::int8_t>("i8", kI8, {-1});
  w.numbers<std::uint16_t>("u16", kU16, {9}).numbers<std::int16_t>("i16", kI16, {-9});
  w.numbers<std::uint32_t>("u32", kU32, {1, 2, 3}).numbers<std::int32_t>("i32", kI32, {-5});
  w.numbers<std::uint64_t>("u64", kU64, {7}).numbers<std::int64_t>("i64", kI64, {-7});
  w.numbers<float>("f32", kF32, {0.5f}).numbers<double>("f64", kF64, {0.25, -1});
  w.numbers<std::uint8_t>("bool", kBool, {1, 0, 1})
      .strings("text", {"", "b", std::string(40, 'c')});
  w.numbers<std::uint32_t>("none", kU32, {});
  const Metadata m = parse(w, 13);
  using Ints = std::vector<std::int64_t>;
  EXPECT_EQ(items<std::int64_t>(m, "u8"), (Ints{0, 255}));
  EXPECT_EQ(items<std::int64_t>(m, "i8"), Ints{-1});
  EXPECT_EQ(items<std::int64_t>(m, "u16"), Ints{9});
  EXPECT_EQ(items<std::int64_t>(m, "i16"), Ints{-9});
  EXPECT_EQ(items<std::int64_t>(m, "u32"), (Ints{1, 2, 3}));
  EXPECT_EQ(items<std::int64_t>(m, "i32"), Ints{-5});
  EXPECT_EQ(items<std::int64_t>(m, "u64"), Ints{7});
  EXPECT_EQ(items<std::int64_t>(m, "i64"), Ints{-7});
  EXPECT_EQ(items<double>(m, "f32"), std::vector<double>{0.5});
  EXPECT_EQ(items<double>(m, "f64"), (std::vector<double>{0.25, -1}));
  EXPECT_EQ(items<std::uint8_t>(m, "bool"), (std::vector<std::uint8_t>{1, 0, 1}));
  EXPECT_EQ(items<std::string>(m, "text"),
            (std::vector<std::string>{"", "b", std::string(40, 'c')}));
  EXPECT_TRUE(items<std::int64_t>(m, "none").empty());
}

TEST(MetadataTest, LooksUpKeysAfterItWasMoved) {
  GgufWriter w;
  for (int i = 0; i < 50; ++i) w.u32(fmt::format("k{}", i), static_cast<std::uint32_t>(i));
  Metadata first = parse(w, 50);
  const Metadata m = std::move(first);
  for (int i = 0; i < 50; ++i) EXPECT_EQ(value<std::int64_t>(m, fmt::format("k{}", i)), i);
}

TEST(MetadataTest, AcceptsEachAlignmentInRange) {
  for (std::uint32_t a = 8; a <= 1u << 20; a *= 2)
    EXPECT_EQ(parse(GgufWriter().u32("general.alignment", a), 1).alignment(), a);
  EXPECT_EQ(parse(GgufWriter(), 0).alignment(), 32u);
}

// 16 Mi bytes become 16 Mi 64-bit integers: one such array is within the bound of memory, a file of
// nothing but such arrays is not.
TEST(MetadataTest, MemoryIsBoundedByTheSizeOfTheHeader) {
  const std::vector<std::byte> items(std::size_t{12} << 20);
  GgufWriter w;
  w.raw_array("first", kU8, items.size(), items);
  EXPECT_EQ(refusal_of(w.bytes()), "");
  w.raw_array("second", kU8, items.size(), items);
  EXPECT_NE(refusal_of(w.bytes()).find("second at byte"), std::string::npos);
  EXPECT_NE(refusal_of(w.bytes()).find("bytes of memory, the limit"), std::string::npos);
}

TEST(MetadataTest, NamesTypes) {
  EXPECT_EQ(type_name(Value(std::int64_t{1})), "an integer");
  EXPECT_EQ(type_name(Value(true)), "a bool");
  EXPECT_EQ(type_name(Value(1.0)), "a number");
  EXPECT_EQ(type_name(Value(std::string("x"))), "a string");
  EXPECT_EQ(type_name(Value(Array(std::vector<std::string>{}))), "an array of strings");
}

}  // namespace
}  // namespace ra::gguf
