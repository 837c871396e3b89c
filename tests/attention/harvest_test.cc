// SPDX-License-Identifier: Apache-2.0
#include "lib/attention/harvest.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "tests/support/plain_row_search.h"
#include "tests/support/random.h"

namespace ra::attention {
namespace {

using testing::random_matrix;

constexpr int kKvHeads = 2, kGroup = 3, kEvery = 4;
constexpr std::int64_t kTokens = 900, kSink = 10;
constexpr std::size_t kDim = 16;

// Queries of every 4th position, in bf16.
Matrix<float> queries(int layer, int head, std::int64_t begin, std::int64_t end) {
  const Matrix<float> all = random_matrix(
      kTokens / kEvery, kDim,
      100 + 10 * static_cast<std::uint64_t>(layer) + static_cast<std::uint64_t>(head));
  const auto row = [](std::int64_t at) {
    return static_cast<std::size_t>((at + kEvery - 1) / kEvery);
  };
  Matrix<float> out(row(end) - row(begin), kDim);
  for (std::size_t i = 0; i < out.rows(); ++i)
    std::transform(all.row(row(begin) + i), all.row(row(begin) + i) + kDim, out.row(i),
                   [](float v) { return to_float(to_bf16(v)); });
  return out;
}

class HarvestTest : public ::testing::TestWithParam<model::KvType> {
 protected:
  // The cache after some more positions of both layers.
  void fill(std::int64_t more) {
    for (int layer = 0; layer < 2; ++layer) {
      const auto first = static_cast<std::size_t>(cache_.size(layer));
      const auto seed = static_cast<std::uint64_t>(layer);
      cache_.append(layer,
                    random_matrix(kTokens, kKvHeads * kDim, 1 + seed)
                        .view()
                        .row_range(first, static_cast<std::size_t>(more)),
                    random_matrix(kTokens, kKvHeads * kDim, 3 + seed)
                        .view()
                        .row_range(first, static_cast<std::size_t>(more)));
    }
  }
  index::KnnTable found_afterwards(int layer, int first_head, int heads, std::int64_t end,
                                   std::size_t k) const {
    const Matrix<float> keys =
        model::widen_keys(cache_.rows(layer, first_head / kGroup), kSink, end);
    std::vector<Matrix<float>> rows;
    std::vector<index::QuerySet> train;
    for (int h = first_head; h < first_head + heads; ++h)
      rows.push_back(queries(layer, h, 0, kTokens));
    for (const auto& r : rows) train.push_back({r.view(), {}});
    index::BuildClock clock;
    return index::exact_knn(keys.view(), index::pick_queries(train, 0), k, clock);
  }
  model::KvCache cache_{{.layers = 2,
                         .kv_heads = kKvHeads,
                         .head_dim = kDim,
                         .value_dim = kDim,
                         .capacity = kTokens,
                         .type = GetParam()}};
};

TEST_P(HarvestTest, ChunkByChunkItIsWhatIsFoundAfterwards) {
  for (const std::int64_t chunk : {60, 300, 900}) {
    cache_ = model::KvCache(cache_.shape());
    Harvest harvest({0, 1}, kKvHeads, kGroup, 20);
    index::BuildClock clock;
    std::int64_t distances = 0;
    testing::PlainRowSearch search;
    for (std::int64_t done = 0; done < kTokens; done += chunk) {
      fill(chunk);
      harvest.gather(cache_, kSink, cache_.size() - 100, queries, clock, distances,
                     chunk == 300 ? &search : nullptr);
    }
    EXPECT_EQ(search.calls > 0, chunk == 300);
    EXPECT_EQ(distances, 2 * kKvHeads * kGroup * (kTokens / kEvery) * (kTokens - 100 - kSink));
    EXPECT_FALSE(harvest.of(kSink, kTokens));
    ASSERT_TRUE(harvest.of(kSink, kTokens - 100));
    for (const int layer : {0, 1})
      for (const int head : {0, 3}) {
        const auto want = found_afterwards(layer, head, kGroup, kTokens - 100, 20),
                   got = harvest.take(static_cast<std::size_t>(layer), head, kGroup);
        ASSERT_EQ(got.k, want.k);
        ASSERT_EQ(got.queries, want.queries);
        ASSERT_EQ(got.ids.size(), want.ids.size());
        std::size_t others = 0;
        for (std::size_t i = 0; i < want.ids.size(); ++i) others += got.ids[i] != want.ids[i];
        // Another search rounds its sums otherwise, and so keys may change places.
        EXPECT_LE(others, chunk == 300 ? want.ids.size() / 1000 : 0)
            << "layer " << layer << " head " << head;
      }
  }
}

TEST_P(HarvestTest, ListsTooLongForTheSearchAreFoundHere) {
  fill(300);
  Harvest harvest({1}, kKvHeads, kGroup, index::RowSearch::kMost + 1);
  index::BuildClock clock;
  std::int64_t distances = 0;
  testing::PlainRowSearch search;
  harvest.gather(cache_, kSink, 300, queries, clock, distances, &search);
  EXPECT_EQ(search.calls, 0);
  EXPECT_EQ(harvest.take(0, 0, 1).k, 300u - kSink);
}

TEST_P(HarvestTest, ListsEndWithTheKeys) {
  fill(120);
  Harvest harvest({1}, kKvHeads, kGroup, 20);
  index::BuildClock clock;
  std::int64_t distances = 0;
  harvest.gather(cache_, kSink, 5, queries, clock, distances);  // nothing beside the static set
  EXPECT_EQ(distances, 0);
  harvest.gather(cache_, kSink, kSink + 7, queries, clock, distances);
  const auto table = harvest.take(0, 4, 1);
  EXPECT_EQ(table.k, 7u);
  EXPECT_EQ(table.queries, 120u / kEvery);
  for (std::size_t q = 0; q < table.queries; ++q) {
    std::vector<std::uint32_t> ids(table.row(q).begin(), table.row(q).end());
    std::ranges::sort(ids);
    EXPECT_EQ(ids, (std::vector<std::uint32_t>{0, 1, 2, 3, 4, 5, 6}));
  }
}

INSTANTIATE_TEST_SUITE_P(KvTypes, HarvestTest,
                         ::testing::Values(model::KvType::kF32, model::KvType::kBf16,
                                           model::KvType::kInt8),
                         [](const auto& p) { return std::string(model::name_of(p.param)); });

}  // namespace
}  // namespace ra::attention
