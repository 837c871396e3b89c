// SPDX-License-Identifier: Apache-2.0
#include "lib/gguf/content_check.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "kernels/quant.h"
#include "tests/gguf/tiny_file.h"

namespace ra::gguf {
namespace {

constexpr std::uint16_t kHalfNan = 0x7e00, kHalfInf = 0xfc00;

// Where the f16 scales of a block lie; F32 and BF16 are treated apart.
std::vector<std::size_t> scale_offsets(kernels::Quant id) {
  using kernels::Quant;
  switch (id) {
    case Quant::kQ4_1:
    case Quant::kQ5_1:
    case Quant::kQ4_K:
    case Quant::kQ5_K:
      return {0, 2};
    case Quant::kQ2_K:
      return {80, 82};
    case Quant::kQ3_K:
      return {108};
    case Quant::kQ6_K:
      return {208};
    case Quant::kF32:
    case Quant::kBF16:
      return {};
    default:
      return {0};
  }
}

std::string refused(const GgufWriter& w, bool check = true) {
  return refusal_of(w.bytes(), {.check_tensors = check});
}

TEST(ContentCheckTest, FindsBadScalesOfEveryFormat) {
  for (const auto& quant : kernels::all_quants())
    for (const std::size_t at : scale_offsets(quant.id))
      for (const std::uint16_t bad : {kHalfNan, kHalfInf}) {
        std::vector<std::byte> data(quant.block_bytes * 12);
        std::memcpy(data.data() + 7 * quant.block_bytes + at, &bad, sizeof bad);
        GgufWriter w;
        w.f32_tensor("good", {3});
        w.tensor("w", {quant.block * 2, 6}, static_cast<std::uint32_t>(quant.id), data);
        const std::string line = refused(w);
        EXPECT_NE(line.find("w at byte"), std::string::npos) << quant.name << ": " << line;
        EXPECT_NE(line.find("block 7 (row 3) has a"), std::string::npos) << quant.name << line;
        EXPECT_EQ(refused(w, false), "") << "the check is off";
      }
}

TEST(ContentCheckTest, FindsBadValuesOfF32AndBf16) {
  GgufWriter f32;
  f32.tensor("w", {2, 2}, 0, Bytes().put(1.0f).put(2.0f).put(3.0f).put(-INFINITY).data);
  EXPECT_NE(refused(f32).find("F32 block 3 (row 1) has a value"), std::string::npos);
  GgufWriter bf16;
  bf16.tensor("w", {2}, 30, Bytes().put<std::uint16_t>(0x3f80).put<std::uint16_t>(0x7fc0).data);
  EXPECT_NE(refused(bf16).find("BF16 block 1 (row 0) has a value"), std::string::npos);
}

TEST(ContentCheckTest, NamesTheFirstOfSeveralInLargeTensors) {
  std::vector<std::byte> data(std::size_t{10} << 20);  // several slices
  const float bad = NAN;
  for (const std::size_t at : {9'000'000u, 5'000'000u, 7'000'000u})
    std::memcpy(data.data() + at, &bad, sizeof bad);
  GgufWriter w;
  w.tensor("big", {1024, data.size() / 4096}, 0, data);
  EXPECT_NE(refused(w).find("block 1250000 (row 1220)"), std::string::npos) << refused(w);
}

}  // namespace
}  // namespace ra::gguf
