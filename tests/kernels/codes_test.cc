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
  for (auto& v : q) v = static_cast<std::int8_t>(static_cast<int>(rng.below(255)) - 127);
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

struct Codes {
  std::vector<std::uint8_t> codes;
  std::vector<std::int8_t> q;
  CodeArgs args;
};

Codes random_codes(std::size_t rank, int bits, std::size_t group, std::size_t n) {
  Rng rng(rank + static_cast<std::size_t>(bits) * group + n);
  Codes c;
  for (std::size_t i = 0; i < kBlocks * code_block_bytes(rank, bits); ++i)
    c.codes.push_back(static_cast<std::uint8_t>(rng.below(256)));
  for (std::size_t i = 0; i < group * rank; ++i)
    c.q.push_back(static_cast<std::int8_t>(static_cast<int>(rng.below(255)) - 127));
  c.args = {.q = c.q.data(),
            .q_stride = rank,
            .group = group,
            .rank = rank,
            .codes = c.codes.data(),
            .bits = bits,
            .n = n};
  return c;
}

// What codes_at_least should return, by score_codes.
std::vector<std::uint32_t> rows_at_least(const OpTable& table, CodeArgs a,
                                         const std::vector<float>& floors) {
  std::vector<float> scores(a.group * a.n * kCodeKeys);
  a.out = scores.data();
  a.out_stride = a.n * kCodeKeys;
  table.score_codes(a);
  std::vector<std::uint32_t> rows;
  for (std::size_t j = 0; j < a.out_stride; ++j) {
    bool any = false;
    for (std::size_t g = 0; g < a.group; ++g) any |= scores[g * a.out_stride + j] >= floors[g];
    const std::size_t block =
        a.blocks != nullptr ? a.blocks[j / kCodeKeys] : a.first + j / kCodeKeys;
    if (any) rows.push_back(static_cast<std::uint32_t>(block * kCodeKeys + j % kCodeKeys));
  }
  return rows;
}

void check_filter(const OpTable& table, std::size_t rank, int bits, std::size_t group,
                  const std::uint32_t* blocks, std::size_t n) {
  Codes c = random_codes(rank, bits, group, n);
  c.args.blocks = blocks;
  c.args.first = blocks == nullptr ? 1 : 0;
  Rng rng(n);
  std::vector<float> scores(group * n * kCodeKeys);
  CodeArgs scored = c.args;
  scored.out = scores.data();
  scored.out_stride = n * kCodeKeys;
  table.score_codes(scored);
  constexpr float kNever = std::numeric_limits<float>::infinity();
  for (const float more : {0.0f, 0.5f, kNever, -kNever, std::nanf("")}) {
    std::vector<float> floors(group, kNever);
    // Floors that single scores just reach, or just miss.
    for (std::size_t g = 0; g < group && n > 0; g += 2)
      floors[g] = scores[g * n * kCodeKeys + rng.below(n * kCodeKeys)] + more;
    std::vector<std::uint32_t> rows(n * kCodeKeys + 1, 7);
    const std::size_t count = table.codes_at_least(c.args, floors.data(), rows.data());
    ASSERT_LE(count, n * kCodeKeys);
    EXPECT_EQ(rows.back(), 7u);
    rows.resize(count);
    ASSERT_EQ(rows, rows_at_least(table, c.args, floors))
        << "rank " << rank << " bits " << bits << " group " << group << " n " << n;
  }
}

TEST_P(CodesTest, FilterFindsWhatScoresAtLeastTheFloorOfAnyQuery) {
  const std::uint32_t blocks[] = {4, 8, 0, 3, 5, 1, 7, 2, 2};
  for (const std::size_t rank : {0u, 8u, 32u, 40u, 64u, 128u, 136u})
    for (const int bits : {4, 8}) {
      check_filter(table(), rank, bits, 7, nullptr, 8);
      check_filter(table(), rank, bits, 7, blocks, 9);
    }
  for (std::size_t group = 0; group <= kMostFilterQueries; ++group)
    for (std::size_t n = 0; n <= 6; ++n)
      for (const int bits : {4, 8}) check_filter(table(), 64, bits, group, blocks, n);
}

// More blocks than any level takes at a time.
TEST_P(CodesTest, FilterKeepsTheOrderOfManyBlocks) {
  Codes c = random_codes(16, 4, 5, 1);
  std::vector<std::uint32_t> blocks;
  for (std::uint32_t j = 0; j < 100; ++j)
    blocks.push_back(static_cast<std::uint32_t>(j * 5 % kBlocks));
  c.args.blocks = blocks.data();
  c.args.n = blocks.size();
  const std::vector<float> floors(5, 100.0f);
  std::vector<std::uint32_t> rows(1600);
  rows.resize(table().codes_at_least(c.args, floors.data(), rows.data()));
  EXPECT_GT(rows.size(), 100u);
  EXPECT_EQ(rows, rows_at_least(table(), c.args, floors));
}

// Sums, and what a rule makes of them.
void check_rule(const OpTable& table, int bits, std::size_t group, const std::uint32_t* blocks,
                std::size_t n) {
  constexpr std::size_t kFirst = 2, kRows = (kBlocks - kFirst) * kCodeKeys - 5, kParts = 32;
  constexpr float kInf = std::numeric_limits<float>::infinity();
  Codes c = random_codes(64, bits, group, n);
  const std::size_t stride = n * kCodeKeys + 1;
  std::vector<float> sums(group * stride + 1), out(group * stride + 1, 7.0f);
  c.args.blocks = blocks;
  c.args.first = kFirst;
  c.args.out_stride = stride;
  c.args.out = sums.data();
  table.score_codes(c.args);
  const auto base = testing::random_floats(group, 1), gain = testing::random_floats(group, 3),
             spread = testing::random_floats(kRows, 4);
  std::vector<float> unit = testing::random_floats(group, 2);
  if (group > 1) unit[1] = std::nanf("");
  for (const int kind : {0, 1, 2, 3}) {
    std::vector<float> best(group * kParts, kind == 3 ? 100.0f : -kInf), want = best;
    ScoreRule rule{.rows = kRows};
    if (kind > 0) rule.base = base.data(), rule.unit = unit.data();
    if (kind == 1) rule.gain = gain.data(), rule.spread = spread.data();
    if (kind > 1) rule.best = best.data(), rule.parts = kParts, rule.slot = kCodeKeys;
    c.args.rule = &rule;
    c.args.out = out.data();
    table.score_codes(c.args);
    for (std::size_t g = 0; g < group; ++g) {
      for (std::size_t j = 0; j < n * kCodeKeys; ++j) {
        const std::size_t i = (c.args.block(j / kCodeKeys) - kFirst) * kCodeKeys + j % kCodeKeys;
        float score = sums[g * stride + j];
        if (kind > 0) {
          const float part = unit[g] * score;
          score = base[g] + part;
        }
        if (kind == 1 && i < kRows) {
          const float part = gain[g] * spread[i];
          score += part;
        }
        if (i >= kRows) score = -kInf;
        const float got = out[g * stride + j];
        if (std::isnan(score))
          ASSERT_TRUE(std::isnan(got)) << kind << " " << g << " " << j;
        else
          ASSERT_EQ(got, score) << kind << " " << g << " " << j;
        float& most = want[g * kParts + (rule.slot + j) % kParts];
        if (kind > 1 && score > most) most = score;
      }
      ASSERT_EQ(out[group * stride], 7.0f);
    }
    ASSERT_EQ(best, want) << "rule " << kind;
  }
}

TEST_P(CodesTest, ARuleMakesScoresOfSumsAndKeepsTheBest) {
  const std::uint32_t blocks[] = {2, 6, 0, 3, 5};
  for (const int bits : {4, 8})
    for (const std::size_t group : {1u, 3u, 7u, 9u, 17u}) {
      check_rule(table(), bits, group, blocks, 5);
      check_rule(table(), bits, group, nullptr, 7);
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
  for (const int bits : {4, 8}) check(table(), 1024, bits, 9, nullptr, 2);
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
