// SPDX-License-Identifier: Apache-2.0
#include "lib/gguf/cursor.h"

#include <gtest/gtest.h>

#include <limits>

#include "tests/gguf/tiny_file.h"

namespace ra::gguf {
namespace {

constexpr std::uint64_t kTop = std::numeric_limits<std::uint64_t>::max();

template <class F>
std::string failure(F&& f) {
  try {
    f();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Exit::kBadData);
    return e.what();
  }
  return "";
}

TEST(CursorTest, CheckedArithmeticStopsAtTheTop) {
  EXPECT_EQ(checked_add(kTop - 1, 1), kTop);
  EXPECT_FALSE(checked_add(kTop, 1));
  EXPECT_EQ(checked_mul(kTop / 2, 2), kTop - 1);
  EXPECT_FALSE(checked_mul(kTop / 2 + 1, 2));
  EXPECT_EQ(align_up(0, 32), 0u);
  EXPECT_EQ(align_up(1, 32), 32u);
  EXPECT_EQ(align_up(32, 32), 32u);
  EXPECT_EQ(align_up(kTop - 31, 32), kTop - 31);
  EXPECT_FALSE(align_up(kTop - 30, 32)) << "would wrap to 0";
}

TEST(CursorTest, ReadsInOrderAndCountsWhatIsLeft) {
  const auto data = Bytes().put<std::uint16_t>(7).string("abc").put(2.5f).data;
  Cursor in(data, "f");
  EXPECT_EQ(in.read<std::uint16_t>("number"), 7);
  EXPECT_EQ(in.read_string(3, "text"), "abc");
  EXPECT_EQ(in.left(), 4u);
  EXPECT_EQ(in.read<float>("number"), 2.5f);
  EXPECT_EQ(in.left(), 0u);
}

TEST(CursorTest, NamesFileKeyOffsetAndSizes) {
  const auto data = Bytes().zeros(6).data;
  Cursor in(data, "m.gguf");
  in.enter("bad metadata", "some.key");
  in.read<std::uint32_t>("type");
  EXPECT_EQ(failure([&] { in.read<std::uint64_t>("count"); }),
            "bad metadata: m.gguf: some.key at byte 4: count needs 8 bytes, 2 left (truncated "
            "download?)");
}

TEST(CursorTest, StringsAreBoundedByLimitAndFile) {
  const auto data = Bytes().string("abcd").put<std::uint64_t>(kTop).data;
  Cursor in(data, "f");
  EXPECT_NE(failure([&] {
              Cursor(data, "f").read_string(3, "key");
            }).find("byte 0: key of 4 bytes, the limit is 3"),
            std::string::npos);
  EXPECT_EQ(in.read_string(4, "key"), "abcd");
  EXPECT_NE(failure([&] { in.read_string(kTop, "key"); }).find("needs 18446744073709551615 bytes"),
            std::string::npos);
}

TEST(CursorTest, CountsAreBoundedByTheBytesLeft) {
  const auto data = Bytes().put<std::uint64_t>(0).zeros(24).data;
  Cursor in(data, "f");
  in.read<std::uint64_t>("count");
  in.check_count(3, 8, 10, "items");
  EXPECT_NE(failure([&] {
              in.check_count(4, 8, 10, "items");
            }).find("4 items of at least 8 bytes do not fit the 24 bytes left"),
            std::string::npos);
  EXPECT_NE(failure([&] { in.check_count(11, 1, 10, "items"); }).find("the limit is 10"),
            std::string::npos);
  EXPECT_NE(failure([&] { in.check_count(kTop / 8 + 2, 8, kTop, "items"); }).find("do not fit"),
            std::string::npos);
}

TEST(CursorTest, LongNamesAreClippedAndControlCharactersEscaped) {
  EXPECT_EQ(clipped("short"), "short");
  EXPECT_EQ(clipped(std::string(101, 'x')), std::string(100, 'x') + "...");
  Cursor in({}, "f");
  in.enter("bad metadata", "a\033[2Jb");
  const std::string line = failure([&] { in.fail("why"); });
  EXPECT_EQ(line.find('\033'), std::string::npos);
  EXPECT_NE(line.find("a\\x1b[2Jb"), std::string::npos);
}

}  // namespace
}  // namespace ra::gguf
