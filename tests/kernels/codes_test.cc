// SPDX-License-Identifier: Apache-2.0
#include "kernels/codes.h"

#include <cmath>
#include <limits>

#include "lib/core/rng.h"
#include "tests/support/levels.h"
#include "tests/support/random.h"

namespace ra::kernels {
namespace {

class CodesTest : public testing::LevelTest {};
RA_INSTANTIATE_LEVELS(CodesTest);

constexpr std::size_t kBlocks = 9;

// Scores some blocks of random codes and compares with plain arithmetic on the coordinates, which
// are packed here as the header says.
void check(const OpTable& table, std::size_t rank, int bits, std::size_t group,
           const std::uint32_t* blocks, std::size_t n) {
  Rng rng(rank + static_cast<std::size_t>(bits) * group + n);
  const int low = bits == 8 ? -128 : -8;
  std::vector<int> coordinates(kBlocks * kCodeKeys * rank);
  std::vector<std::uint8_t> codes(kBlocks * code_block_bytes(rank, bits) + 1);  // unaligned
  for (std::size_t i = 0; i < coordinates.size(); ++i) {
    const std::size_t row = i / rank, c = i % rank;
    coordinates[i] = low + static_cast<int>(rng.below(bits == 8 ? 256 : 16));
    const auto code = static_cast<std::uint8_t>(coordinates[i] - low);
    std::uint8_t* block = codes.data() + 1 + row / kCodeKeys * code_block_bytes(rank, bits);
    const std::size_t key = row % kCodeKeys;
    if (bits == 8) {
      block[c / 4 * 64 + 4 * key + c % 4] = code;
    } else {
      std::uint8_t& byte = block[c / 8 * 64 + 4 * key + c % 4];
      byte = static_cast<std::uint8_t>(byte | (c % 8 < 4 ? code : code << 4));
    }
  }
  std::vector<std::int8_t> q(group * (rank + 3) + 1);
  for (auto& v : q) v = static_cast<std::int8_t>(static_cast<int>(rng.below(256)) - 128);
  const std::size_t first = blocks == nullptr ? 2 : 0, stride = n * kCodeKeys + 1;
  std::vector<float> out(group * stride + 1, 7.0f);
  table.score_codes({.q = q.data(),
                     .q_stride = rank + 3,
                     .group = group,
                     .rank = rank,
                     .codes = codes.data() + 1,
                     .bits = bits,
                     .blocks = blocks,
                     .first = first,
                     .n = n,
                     .out = out.data(),
                     .out_stride = stride});
  for (std::size_t g = 0; g < group; ++g) {
    for (std::size_t j = 0; j < n * kCodeKeys; ++j) {
      const std::size_t block = blocks != nullptr ? blocks[j / kCodeKeys] : first + j / kCodeKeys;
      const int* x = coordinates.data() + (block * kCodeKeys + j % kCodeKeys) * rank;
      int want = 0;
      for (std::size_t c = 0; c < rank; ++c) want += q[g * (rank + 3) + c] * x[c];
      ASSERT_EQ(out[g * stride + j], static_cast<float>(want))
          << "rank " << rank << " bits " << bits << " group " << group << " n " << n;
    }
    ASSERT_EQ(out[g * stride + n * kCodeKeys], 7.0f) << "wrote past row " << g;
  }
}

TEST_P(CodesTest, EqualsPlainArithmeticForEveryRank) {
  const std::uint32_t blocks[] = {8, 0, 3, 3, 5, 1};
  for (std::size_t rank = 0; rank <= 136; rank += 8)
    for (const int bits : {4, 8}) {
      check(table(), rank, bits, 3, nullptr, 5);
      check(table(), rank, bits, 3, blocks, 6);
    }
  check(table(), 4, 8, 2, blocks, 6);
  check(table(), 1024, 8, 1, nullptr, 2);
}

TEST_P(CodesTest, EqualsPlainArithmeticForEveryGroupAndCount) {
  const std::uint32_t blocks[] = {4, 8, 0, 3, 5, 1, 7};
  for (std::size_t group = 0; group <= 17; ++group)
    for (std::size_t n = 0; n <= 7; ++n) {
      check(table(), 16, 8, group, blocks, n);
      check(table(), 16, 4, group, nullptr, n);
    }
}

TEST_P(CodesTest, QueriesAreRoundedToTheirLargest) {
  for (const std::size_t n : {1u, 15u, 64u, 133u}) {
    const auto y = testing::random_floats(n, n);
    float largest = 0;
    for (const float v : y) largest = std::max(largest, std::fabs(v));
    std::vector<std::int8_t> out(n + 1, 5);
    EXPECT_EQ(table().encode_query(y.data(), n, out.data()), largest / 127);
    for (std::size_t i = 0; i < n; ++i)
      ASSERT_EQ(out[i], static_cast<int>(std::nearbyint(y[i] * (127 / largest)))) << i;
    EXPECT_EQ(out[n], 5);
  }
  for (const float odd :
       {0.0f, std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    const float y[] = {0, odd, -0.0f};
    std::int8_t out[] = {1, 1, 1};
    EXPECT_EQ(table().encode_query(y, 3, out), 0);
    for (const std::int8_t v : out) EXPECT_EQ(v, 0);
  }
}

}  // namespace
}  // namespace ra::kernels
