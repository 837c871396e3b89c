// SPDX-License-Identifier: Apache-2.0
#include "kernels/quant.h"

#include <cstring>
#include <fstream>
#include <iterator>
#include <limits>
#include <set>

#include "tests/support/levels.h"
#include "tests/support/quant_blocks.h"
#include "tests/support/random.h"

namespace ra::kernels {
namespace {

// One record of tests/golden/quant/blocks.bin, which make_blocks.py wrote from PyPI gguf.
struct Golden {
  std::uint32_t type = 0;
  std::vector<std::byte> blocks;
  std::vector<float> weights;
};

std::vector<Golden> read_goldens() {
  std::ifstream in("tests/golden/quant/blocks.bin", std::ios::binary);
  std::vector<Golden> out;
  std::uint32_t head[3];
  while (in.read(reinterpret_cast<char*>(head), sizeof head)) {
    Golden g{head[0], std::vector<std::byte>(head[1]), std::vector<float>(head[2])};
    in.read(reinterpret_cast<char*>(g.blocks.data()), static_cast<std::streamsize>(head[1]));
    in.read(reinterpret_cast<char*>(g.weights.data()), static_cast<std::streamsize>(4 * head[2]));
    EXPECT_TRUE(in.good());
    out.push_back(std::move(g));
  }
  return out;
}

class QuantTest : public testing::LevelTest {};
RA_INSTANTIATE_LEVELS(QuantTest);

std::uint32_t bits(float v) { return std::bit_cast<std::uint32_t>(v); }

TEST_P(QuantTest, DecodesBitExactlyAsGguf) {
  const auto goldens = read_goldens();
  std::set<std::uint32_t> seen;
  for (const Golden& g : goldens) {
    const QuantInfo* info = find_quant(g.type);
    ASSERT_NE(info, nullptr) << g.type;
    seen.insert(g.type);
    ASSERT_EQ(g.blocks.size() / info->block_bytes * info->block, g.weights.size()) << info->name;
    std::vector<float> got(g.weights.size());
    table().decode_row(info->id, g.blocks.data(), got.data(), got.size());
    for (std::size_t i = 0; i < got.size(); ++i)
      ASSERT_EQ(bits(got[i]), bits(g.weights[i]))
          << info->name << " weight " << i << ": " << got[i] << ", not " << g.weights[i];
  }
  EXPECT_EQ(seen.size(), all_quants().size());
}

TEST_P(QuantTest, DecodesBitExactlyAsScalarAtEveryLengthAndShift) {
  for (const QuantInfo& info : all_quants())
    for (std::size_t blocks = 0; blocks <= (info.block == 1 ? 70u : 5u); ++blocks)
      for (const std::size_t shift : {0u, 1u, 3u}) {
        auto raw = testing::random_blocks(info, blocks, blocks + 1);
        raw.insert(raw.begin(), shift, std::byte{0});
        const std::size_t n = blocks * info.block;
        std::vector<float> want(n + 1), got(n + 1, 7.0f);
        info.decode(raw.data() + shift, want.data(), n);
        table().decode_row(info.id, raw.data() + shift, got.data(), n);
        ASSERT_EQ(std::memcmp(want.data(), got.data(), n * sizeof(float)), 0)
            << info.name << " blocks=" << blocks << " shift=" << shift;
        ASSERT_EQ(got[n], 7.0f) << info.name << ": wrote past the end";
      }
}

TEST(Quant, FindsFormatsByTheirGgufId) {
  for (const QuantInfo& info : all_quants()) {
    EXPECT_EQ(find_quant(static_cast<std::uint32_t>(info.id)), &info);
    EXPECT_EQ(&quant_info(info.id), &info);
  }
  for (const std::uint32_t id : {4u, 5u, 9u, 15u, 29u, 31u, 0xffffffffu})
    EXPECT_EQ(find_quant(id), nullptr) << id;
}

TEST(Quant, NamesAndShapesAreThoseOfGguf) {
  struct Row {
    const char* name;
    std::size_t block, bytes;
  };
  constexpr Row kRows[] = {{"F32", 1, 4},      {"F16", 1, 2},      {"BF16", 1, 2},
                           {"Q4_0", 32, 18},   {"Q4_1", 32, 20},   {"Q5_0", 32, 22},
                           {"Q5_1", 32, 24},   {"Q8_0", 32, 34},   {"Q2_K", 256, 84},
                           {"Q3_K", 256, 110}, {"Q4_K", 256, 144}, {"Q5_K", 256, 176},
                           {"Q6_K", 256, 210}};
  ASSERT_EQ(all_quants().size(), std::size(kRows));
  for (std::size_t i = 0; i < std::size(kRows); ++i) {
    EXPECT_EQ(all_quants()[i].name, kRows[i].name);
    EXPECT_EQ(all_quants()[i].block, kRows[i].block) << kRows[i].name;
    EXPECT_EQ(all_quants()[i].block_bytes, kRows[i].bytes) << kRows[i].name;
  }
}

TEST(Quant, EveryScaleOfABlockIsChecked) {
  for (const QuantInfo& info : all_quants()) {
    const auto good = testing::random_blocks(info, 9, 1);
    EXPECT_EQ(info.first_bad_block(good.data(), 9), -1) << info.name;
    EXPECT_EQ(info.first_bad_block(good.data(), 0), -1) << info.name;
    for (const std::size_t offset : testing::scale_offsets(info.id))
      for (const std::size_t block : {0u, 4u, 8u})
        for (const float value :
             {std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity(),
              std::numeric_limits<float>::quiet_NaN()}) {
          auto bad = good;
          testing::set_scale(info.id, bad.data() + block * info.block_bytes + offset, value);
          EXPECT_EQ(info.first_bad_block(bad.data(), 9), static_cast<std::ptrdiff_t>(block))
              << info.name << " offset " << offset << " value " << value;
          EXPECT_EQ(info.first_bad_block(bad.data(), block), -1) << info.name;
        }
  }
}

TEST(Quant, LargestScaleIsNotBad) {
  for (const QuantInfo& info : all_quants()) {
    auto raw = testing::random_blocks(info, 1, 1);
    testing::set_scale(info.id, raw.data() + testing::scale_offsets(info.id)[0], -65504.0f);
    EXPECT_EQ(info.first_bad_block(raw.data(), 1), -1) << info.name;
  }
}

}  // namespace
}  // namespace ra::kernels
