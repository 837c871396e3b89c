// SPDX-License-Identifier: Apache-2.0
// Bad files: each kind is one row with a part of the message it must give. Then truncation at every
// byte of the header and random bit flips, which may give any answer but a crash.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "lib/core/rng.h"
#include "tests/gguf/tiny_file.h"

namespace ra::gguf {
namespace {

using namespace ra::testing;

constexpr std::uint64_t kTop = ~std::uint64_t{0};

struct BadFile {
  std::string name;
  std::function<void(GgufWriter&)> spoil;  // starts from tiny_writer()
  std::string_view message;
};

void PrintTo(const BadFile& file, std::ostream* out) { *out << file.name; }

// A pair whose key or value is not what its lengths say.
std::function<void(GgufWriter&)> pair(Bytes bytes) {
  return [bytes = std::move(bytes.data)](GgufWriter& w) { w.raw_pair(bytes); };
}

// A value of a known key with any type id and bytes.
std::function<void(GgufWriter&)> value(std::uint32_t type, Bytes bytes) {
  return
      [type, bytes = std::move(bytes.data)](GgufWriter& w) { w.raw_key("odd.key", type, bytes); };
}

std::function<void(GgufWriter&)> array(std::uint32_t item_type, std::uint64_t count, Bytes bytes) {
  return [=, bytes = std::move(bytes.data)](GgufWriter& w) {
    w.raw_array("odd.key", item_type, count, bytes);
  };
}

// One more tensor "odd.weight" [32, 2] of F32, changed by `spoil`.
std::function<void(GgufWriter&)> tensor(std::function<void(GgufWriter::TensorRecord&)> spoil) {
  return [spoil](GgufWriter& w) { spoil(w.f32_tensor("odd.weight", {32, 2})); };
}

std::function<void(GgufWriter&)> dims(std::vector<std::uint64_t> dims, std::uint32_t type = 0) {
  return tensor([=](auto& t) { t.dims = dims, t.type = type; });
}

std::function<void(GgufWriter&)> type(std::uint32_t id) { return dims({256, 1}, id); }

std::function<void(GgufWriter&)> offset(std::uint64_t offset) {
  return tensor([=](auto& t) { t.offset = offset; });
}

std::function<void(GgufWriter&)> alignment(std::uint32_t alignment) {
  return [=](GgufWriter& w) { w.u32("general.alignment", alignment); };
}

std::vector<BadFile> header_kinds() {
  return {
      {"magic", [](auto& w) { w.magic = "GGUX"; }, "magic is 'GGUX', not 'GGUF'"},
      {"magic_lower_case", [](auto& w) { w.magic = "gguf"; }, "magic is 'gguf'"},
      {"magic_swapped", [](auto& w) { w.magic = "FUGG"; }, "a byte-swapped GGUF file"},
      {"magic_ggml", [](auto& w) { w.magic = "lmgg"; }, "older than GGUF"},
      {"magic_control", [](auto& w) { w.magic = "\033[2J"; }, "magic is '\\x1b[2J'"},
      {"version_0", [](auto& w) { w.version = 0; }, "version 0 is unknown"},
      {"version_1", [](auto& w) { w.version = 1; }, "version 1 is not supported"},
      {"version_4", [](auto& w) { w.version = 4; }, "version 4 is unknown"},
      {"version_max", [](auto& w) { w.version = 0xffffffffu; }, "version 4294967295 is unknown"},
      {"big_endian_2", [](auto& w) { w.version = 0x02000000; }, "byte-swapped (big-endian) GGUF"},
      {"big_endian_3", [](auto& w) { w.version = 0x03000000; }, "GGUF version 3 is not supported"},
      {"tensor_count_over_file", [](auto& w) { w.tensor_count = 500; }, "500 tensors of at least"},
      {"tensor_count_over_limit", [](auto& w) { w.tensor_count = 1'000'001; }, "limit is 1000000"},
      {"tensor_count_max", [](auto& w) { w.tensor_count = kTop; }, "18446744073709551615 tensors"},
      {"tensor_count_wraps", [](auto& w) { w.tensor_count = kTop / 32 + 2; }, "limit is 1000000"},
      {"key_count_over_file", [](auto& w) { w.key_count = 500; }, "500 keys of at least 13 bytes"},
      {"key_count_over_limit", [](auto& w) { w.key_count = 65'537; }, "the limit is 65536"},
      {"key_count_max", [](auto& w) { w.key_count = kTop; }, "18446744073709551615 keys"},
      {"key_count_one_more", [](auto& w) { w.key_count = 4; }, "byte"},
      {"key_count_one_less", [](auto& w) { w.key_count = 2; }, "bad tensor"},
  };
}

std::vector<BadFile> key_kinds() {
  return {
      {"key_empty", pair(Bytes().string("").put<std::uint32_t>(kU8).put<std::uint8_t>(1)),
       "key without a name"},
      {"key_too_long", [](auto& w) { w.u8(std::string(65'536, 'k'), 1); },
       "key of 65536 bytes, the limit is 65535"},
      {"key_length_over_file", pair(Bytes().put<std::uint64_t>(60'000).raw("k")),
       "key needs 60000 bytes"},
      {"key_length_max", pair(Bytes().put(kTop).raw("k")), "key of 18446744073709551615 bytes"},
      {"key_twice", [](auto& w) { w.u32("llama.block_count", 3); },
       "key 'llama.block_count' is there twice"},
      {"key_twice_other_type", [](auto& w) { w.string("llama.block_count", "3"); },
       "is there twice"},
      {"type_13", value(13, Bytes().put(kTop)), "odd.key at byte"},
      {"type_max", value(0xffffffffu, Bytes().put(kTop)), "value type 4294967295 is unknown"},
      {"bool_2", value(kBool, Bytes().put<std::uint8_t>(2)), "bool value 2 is neither 0 nor 1"},
      {"bool_255", value(kBool, Bytes().put<std::uint8_t>(255)), "bool value 255"},
      {"u64_over_i64", value(kU64, Bytes().put(kTop / 2 + 1)),
       "u64 value 9223372036854775808 is over"},
      {"string_over_limit", value(kString, Bytes().put<std::uint64_t>((64u << 20) + 1)),
       "string of 67108865 bytes, the limit is 67108864"},
      {"string_over_file", value(kString, Bytes().put<std::uint64_t>(64u << 20)),
       "string needs 67108864 bytes"},
      {"string_length_max", value(kString, Bytes().put(kTop)), "string of 18446744073709551615"},
      {"string_length_wraps", value(kString, Bytes().put(kTop - 7)), "the limit is 67108864"},
      {"array_nested", array(kArray, 1, Bytes().put<std::uint32_t>(kU8).put(kTop)),
       "nested arrays are not supported"},
      {"array_type_13", array(13, 1, Bytes().put(kTop)), "array element type 13 is unknown"},
      {"array_over_file", array(kU32, 10'000'000, Bytes()),
       "10000000 array elements of at least 4"},
      {"array_over_limit", array(kU8, (16u << 20) + 1, Bytes()), "the limit is 16777216"},
      {"array_count_max", array(kU64, kTop, Bytes()), "18446744073709551615 array elements"},
      {"array_size_wraps", array(kU64, kTop / 8 + 2, Bytes()), "the limit is 16777216"},
      {"array_strings_over_file", array(kString, 1'000'000, Bytes()), "of at least 8 bytes"},
      {"array_string_length_max", array(kString, 1, Bytes().put(kTop)), "string of 184467440737"},
      {"array_bool_2", array(kBool, 2, Bytes().put<std::uint8_t>(1).put<std::uint8_t>(2)),
       "bool value 2"},
      {"array_u64_over_i64", array(kU64, 1, Bytes().put(kTop)), "u64 value 18446744073709551615"},
      {"alignment_0", alignment(0), "general.alignment at byte"},
      {"alignment_1", alignment(1), "1 is not a power of two from 8 to 1048576"},
      {"alignment_4", alignment(4), "4 is not a power of two"},
      {"alignment_24", alignment(24), "24 is not a power of two"},
      {"alignment_2_mib", alignment(2u << 20), "2097152 is not a power of two"},
      {"alignment_top_bit", alignment(0x80000000u), "2147483648 is not a power of two"},
      {"alignment_max", alignment(0xffffffffu), "4294967295 is not a power of two"},
      {"alignment_u64", [](auto& w) { w.u64("general.alignment", 32); }, "must be a u32"},
      {"alignment_string", [](auto& w) { w.string("general.alignment", "32"); }, "must be a u32"},
      {"alignment_array",
       [](auto& w) { w.template numbers<std::uint32_t>("general.alignment", kU32, {32}); },
       "must be a u32"},
      {"alignment_f32", [](auto& w) { w.f32("general.alignment", 32); }, "must be a u32"},
      {"alignment_not_kept", alignment(64), "is not a multiple of the alignment 64"},
  };
}

std::vector<BadFile> tensor_kinds() {
  return {
      {"name_empty", tensor([](auto& t) { t.name = ""; }), "tensor without a name"},
      {"name_65_bytes", tensor([](auto& t) { t.name = std::string(65, 'n'); }),
       "tensor name of 65 bytes, the limit is 64"},
      {"name_length_max", tensor([](auto& t) { t.name_length = kTop; }), "the limit is 64"},
      {"name_length_short", tensor([](auto& t) { t.name_length = 3; }), "odd at byte"},
      {"name_twice", tensor([](auto& t) { t.name = "a.weight"; }),
       "tensor 'a.weight' is there twice"},
      {"name_control", tensor([](auto& t) { t.name = "a\nb", t.type = 99; }), "a\\x0ab at byte"},
      {"dims_0", tensor([](auto& t) { t.dims = {}; }), "0 dimensions, 1 to 4 are possible"},
      {"dims_5", dims({1, 1, 1, 1, 64}), "5 dimensions, 1 to 4 are possible"},
      {"dims_count_max", tensor([](auto& t) { t.n_dims = 0xffffffffu; }), "4294967295 dimensions"},
      {"dims_count_short", tensor([](auto& t) { t.n_dims = 1; }), "but odd.weight starts"},
      {"dim_zero", dims({32, 0}), "dimension 1 is 0, the range is 1 to 1099511627776"},
      {"dim_zero_first", dims({0, 2}), "dimension 0 is 0"},
      {"dim_over_limit", dims({32, (std::uint64_t{1} << 40) + 1}), "dimension 1 is 1099511627777"},
      {"dim_max", dims({kTop}), "dimension 0 is 18446744073709551615"},
      {"dim_negative", dims({32, static_cast<std::uint64_t>(-2)}), "18446744073709551614"},
      {"size_wraps_64_bits", dims({1ull << 40, 1ull << 40}), "overflow 64 bits"},
      {"size_wraps_to_small", dims({1ull << 31, 1ull << 31}), "[2147483648, 2147483648] overflow"},
      {"size_wraps_to_zero", dims({1ull << 40, 1ull << 22, 1}), "overflow 64 bits"},
      {"size_wraps_in_type", dims({1ull << 40, 1ull << 22}, 30), "needs 9223372036854775808"},
      {"size_wraps_in_4", dims({65536, 65536, 65536, 65536}), "overflow 64 bits"},
      {"size_exabytes", dims({1ull << 40, 1ull << 20}), "needs 4611686018427387904 bytes"},
      {"rows_not_whole_q8_0", dims({48, 2}, 8), "rows of 48 weights are not whole Q8_0 blocks"},
      {"rows_not_whole_q4_k", dims({128, 2}, 12), "not whole Q4_K blocks of 256"},
      {"rows_shorter_than_block", dims({1, 64}, 2), "rows of 1 weights are not whole Q4_0 blocks"},
      {"type_q4_2", type(4), "type Q4_2 (id 4) was removed from GGUF"},
      {"type_q4_3", type(5), "type Q4_3 (id 5) was removed"},
      {"type_q8_1", type(9), "type Q8_1 (id 9) exists in memory only"},
      {"type_q8_k", type(15), "type Q8_K (id 15) exists in memory only"},
      {"type_iq2_xxs", type(16), "type IQ2_XXS (id 16) is not supported"},
      {"type_iq2_xs", type(17), "type IQ2_XS (id 17) is not supported"},
      {"type_iq3_xxs", type(18), "type IQ3_XXS (id 18) is not supported"},
      {"type_iq1_s", type(19), "type IQ1_S (id 19) is not supported"},
      {"type_iq3_s", type(21), "type IQ3_S (id 21) is not supported"},
      {"type_iq2_s", type(22), "type IQ2_S (id 22) is not supported"},
      {"type_i8", type(24), "type I8 (id 24) is not supported"},
      {"type_i16", type(25), "type I16 (id 25) is not supported"},
      {"type_i32", type(26), "type I32 (id 26) is not supported"},
      {"type_i64", type(27), "type I64 (id 27) is not supported"},
      {"type_f64", type(28), "type F64 (id 28) is not supported"},
      {"type_iq1_m", type(29), "type IQ1_M (id 29) is not supported"},
      {"type_q4_0_4_4", type(31), "type Q4_0_4_4 (id 31) was removed"},
      {"type_tq1_0", type(34), "type TQ1_0 (id 34) is not supported"},
      {"type_tq2_0", type(35), "type TQ2_0 (id 35) is not supported"},
      {"type_iq4_nl_8_8", type(38), "type IQ4_NL_8_8 (id 38) was removed"},
      {"type_nvfp4", type(40), "type NVFP4 (id 40) is not supported"},
      {"type_q1_0", type(41), "type Q1_0 (id 41) is not supported"},
      {"type_q2_0", type(42), "type Q2_0 (id 42) is not supported"},
      {"type_43", type(43), "type id 43 is unknown"},
      {"type_unknown_max", type(0xffffffffu), "type id 4294967295 is unknown (supported: F32, "},
      {"offset_misaligned", offset(33), "offset 33 is not a multiple of the alignment 32"},
      {"offset_past_end", offset(1u << 20), "starts 1048576 bytes into the data, the file ends"},
      {"offset_max", offset(kTop - 31), "starts 18446744073709551584 bytes into the data"},
      {"offset_wraps_to_header", offset(static_cast<std::uint64_t>(-256)), "into the data"},
      {"offset_at_end", offset(32 * 17), "odd.weight at byte"},
      {"needs_more_than_left", dims({32, 3}), "needs 384 bytes, 256 left (truncated download?)"},
      {"overlap_whole", offset(0), "bytes, but "},
      {"overlap_tail", offset(32),
       "a.weight at byte 384: needs 48 bytes, but odd.weight starts 32"},
      {"overlap_same_offset", [](auto& w) { w.f32_tensor("x", {8}).offset = 64; },
       "b.weight at byte 416: needs 136 bytes, but x starts 0 bytes after"},
      // Stored with the bytes of a narrower type: the neighbour's bytes would be read.
      {"extent_smaller_than_type",
       [](auto& w) {
         w.tensor("narrow", {256, 4}, 14, std::vector<std::byte>(144 * 4));
         w.tensor("next", {256, 4}, 12, std::vector<std::byte>(144 * 4));
       },
       "narrow at byte"},
      {"file_cut_in_data",
       [](auto& w) {
         w.tensor("cut", {64, 4}, 0, {});
       },
       "needs 1024 bytes, 0"},
      {"last_tensor_one_byte_short",
       [](auto& w) {
         w.tensor("cut", {2}, 0, std::vector<std::byte>(7));
         w.pad_last = false;
       },
       "needs 8 bytes, 7 left"},
      {"no_data_at_all", [](auto& w) { w.f32_tensor("x", {4}).data.clear(); }, "x at byte"},
  };
}

std::vector<BadFile> content_kinds() {
  return {
      {"f32_nan", [](auto& w) { w.tensor("x", {1}, 0, Bytes().put(0x7fc00000u).data); },
       "F32 block 0 (row 0) has a value that is NaN or infinite"},
      {"f16_inf",
       [](auto& w) { w.tensor("x", {1}, 1, Bytes().template put<std::uint16_t>(0x7c00).data); },
       "F16 block 0"},
      {"q8_0_scale_nan",
       [](auto& w) {
         w.tensor("x", {32}, 8, Bytes().template put<std::uint16_t>(0xfe00).zeros(32).data);
       },
       "Q8_0 block 0 (row 0) has a scale that is NaN or infinite"},
      {"split_count_without_name", [](auto& w) { w.u16("split.count", 2).u16("split.no", 0); },
       "split.count: a split model needs its files by name"},
      {"split_count_text", [](auto& w) { w.string("split.count", "two"); }, "not an integer"},
      {"split_no_missing", [](auto& w) { w.u16("split.count", 2); }, "split.no: missing"},
      {"split_no_over_count", [](auto& w) { w.u16("split.count", 2).u16("split.no", 2); },
       "split.no: 2 is not from 0 to 1"},
      {"split_count_over_limit", [](auto& w) { w.u32("split.count", 100'000); },
       "100000 is not from 0 to 99999"},
  };
}

class BadFileTest : public ::testing::TestWithParam<BadFile> {};

std::vector<BadFile> all_kinds() {
  std::vector<BadFile> all;
  for (auto kinds : {header_kinds(), key_kinds(), tensor_kinds(), content_kinds()})
    std::ranges::move(kinds, std::back_inserter(all));
  return all;
}

INSTANTIATE_TEST_SUITE_P(Kinds, BadFileTest, ::testing::ValuesIn(all_kinds()),
                         [](const auto& test) { return test.param.name; });

TEST_P(BadFileTest, IsRefusedWithExit65AndOneClearLine) {
  GgufWriter w = tiny_writer();
  GetParam().spoil(w);
  const std::string line = refusal_of(w.bytes());
  EXPECT_NE(line.find(GetParam().message), std::string::npos)
      << "'" << line << "' lacks '" << GetParam().message << "'";
  EXPECT_EQ(line.find('\n'), std::string::npos);
  EXPECT_LT(line.size(), 600u);
}

TEST(CorruptTest, TheUnspoiltFileIsGood) { EXPECT_EQ(refusal_of(tiny_writer().bytes()), ""); }

// The file is cut at every byte of its header and its data.
TEST(CorruptTest, EveryTruncationIsRefused) {
  for (const std::uint32_t version : {2u, 3u}) {
    GgufWriter w = tiny_writer();
    w.version = version;
    w.f32("llama.rope.freq_base", 1e4f).boolean("some.flag", 1).u64("some.count", 1);
    w.pad_last = false;  // otherwise cutting the last padding leaves a good file
    const auto bytes = w.bytes();
    ASSERT_EQ(refusal_of(bytes), "");
    for (std::size_t size = 0; size < bytes.size(); ++size)
      EXPECT_NE(refusal_of(std::span(bytes).first(size)), "") << "cut at " << size;
  }
}

TEST(CorruptTest, FixturesCutAnywhereAreRefused) {
  std::ifstream in("tests/golden/gguf/llama-q4_1-q8_0.gguf", std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  const std::span<const std::byte> bytes(reinterpret_cast<const std::byte*>(text.data()),
                                         text.size());
  ASSERT_GT(bytes.size(), 50'000u);
  for (std::size_t size = 0; size + 32 < bytes.size(); size += size < 2'000 ? 7 : 911)
    EXPECT_NE(refusal_of(bytes.first(size)), "") << "cut at " << size;
}

// Any answer but a crash, a hang or another exit code; half of the flips hit the first 300 bytes,
// where counts, lengths and types are.
TEST(CorruptTest, RandomBitFlipsNeverCrash) {
  constexpr int kFlips = 30'000;
  GgufWriter w = tiny_writer();
  w.numbers<std::int32_t>("some.numbers", kI32, {1, 2, 3}).boolean("some.flag", 1);
  w.alignment_key(64);
  const auto good = w.bytes();
  Rng rng(7);
  int accepted = 0;
  for (int i = 0; i < kFlips; ++i) {
    auto bytes = good;
    const auto flips = 1 + rng.below(3);
    for (std::uint64_t f = 0; f < flips; ++f) {
      const std::uint64_t range =
          rng.below(2) ? std::min<std::uint64_t>(300, good.size()) : good.size();
      bytes[rng.below(range)] ^= static_cast<std::byte>(1u << rng.below(8));
    }
    accepted += refusal_of(bytes).empty();
  }
  // Flips in weights, names and padding are legal; those in the structure are not.
  EXPECT_GT(accepted, kFlips / 10);
  EXPECT_LT(accepted, kFlips * 9 / 10);
}

// Whole numbers at the edges are put over every aligned and unaligned place of the header.
TEST(CorruptTest, HostileNumbersAtEveryOffsetNeverCrash) {
  const GgufWriter w = tiny_writer();
  const auto good = w.bytes();
  const std::size_t header = w.header_bytes().size();
  for (const std::uint64_t number :
       {std::uint64_t{0}, std::uint64_t{1}, kTop, kTop - 31, kTop / 2 + 1, kTop / 4 + 1,
        std::uint64_t{1} << 40, std::uint64_t{0x80000000u}, std::uint64_t{0xffffffffu}})
    for (std::size_t at = 0; at + 8 <= header; ++at)
      for (const std::size_t width : {4u, 8u}) {
        auto bytes = good;
        std::memcpy(bytes.data() + at, &number, width);
        refusal_of(bytes);
      }
}

}  // namespace
}  // namespace ra::gguf
