// SPDX-License-Identifier: Apache-2.0
#include "lib/attention/layer_indexes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>

#include "tests/support/plain_row_search.h"
#include "tests/support/random.h"

namespace ra::attention {
namespace {

using testing::random_matrix;

constexpr AttentionShape kShape{
    .layers = 2, .heads = 4, .kv_heads = 2, .head_dim = 16, .value_dim = 8};
constexpr std::int64_t kTokens = 900;

Training training(int, int, std::int64_t, std::int64_t) { return {random_matrix(100, 16, 7), {}}; }

index::IndexSpec spec(const char* text) {
  return index::check_index_spec(parse_specs(text).front());
}

class LayerIndexesTest : public ::testing::TestWithParam<model::KvType> {
 protected:
  LayerIndexesTest() {
    for (int layer = 0; layer < kShape.layers; ++layer)
      cache_.append(layer, random_matrix(kTokens, 32, 1).view(),
                    random_matrix(kTokens, 16, 2).view());
  }
  std::vector<index::Hit> search(const LayerIndexes& indexes, int layer) const {
    const auto& index = indexes.at(indexes.slot(layer, 1, 0));
    std::vector<std::vector<index::Hit>> hits(1);
    (void)index.search(random_matrix(1, 16, 3).view(), {.k = 1000, .effort = 1 << 20},
                       *index.make_scratch(), hits);
    return hits[0];
  }
  model::KvCache cache_{{.layers = kShape.layers,
                         .kv_heads = kShape.kv_heads,
                         .head_dim = kShape.head_dim,
                         .value_dim = kShape.value_dim,
                         .capacity = kTokens,
                         .type = GetParam()}};
};

TEST_P(LayerIndexesTest, WholeSegmentsAreBuiltEarlyTheRestAtTheEnd) {
  LayerIndexes indexes(kShape, spec("qivf:segment=256"));
  EXPECT_TRUE(indexes.grows());
  EXPECT_EQ(indexes.count(), 4);
  indexes.build_complete(cache_, 10, 200, training, 1);
  EXPECT_TRUE(indexes.empty());
  indexes.build_complete(cache_, 10, 600, training, 1);
  EXPECT_EQ(indexes.end(1), 10 + 2 * 256);
  EXPECT_EQ(search(indexes, 0).size(), 512u);
  int done = 0;
  indexes.build(cache_, 10, 700, training, 1, [&](int n) { done = n; });
  EXPECT_EQ(done, 4);
  EXPECT_EQ(indexes.sink(), 10);
  EXPECT_EQ(indexes.end(0), 700);
  EXPECT_EQ(search(indexes, 1).size(), 690u);
  const IndexTotals t = indexes.totals();
  EXPECT_GT(t.during_ms, 0);
  EXPECT_GT(t.build_ms, t.during_ms);
  EXPECT_GT(t.stats.cluster_ms, 0);
  // Keys in bf16 and f32 are read in the cache.
  EXPECT_EQ(t.key_bytes, GetParam() == model::KvType::kInt8 ? 4 * 690 * 16 * 4 : 0);
}

TEST_P(LayerIndexesTest, BuildsButNotGrowthUseTheRowSearch) {
  for (const char* type : {"qivf:segment=256", "qgraph", "roar"}) {
    testing::PlainRowSearch plain;
    LayerIndexes indexes(kShape, spec(type));
    indexes.set_row_search(&plain);
    indexes.build(cache_, 10, 700, training, 1);
    const int calls = plain.calls;
    EXPECT_GT(calls, 0) << type;
    EXPECT_EQ(search(indexes, 0).size(), 690u) << type;
    if (!indexes.grows()) continue;
    indexes.grow(cache_, 1, 800);
    EXPECT_EQ(plain.calls, calls) << type;
  }
}

TEST_P(LayerIndexesTest, GrowsByLayersAndForgets) {
  LayerIndexes indexes(kShape, spec("qivf:segment=256"));
  indexes.build(cache_, 10, 700, training, 1);
  const auto before = search(indexes, 1);
  indexes.grow(cache_, 1, 800);
  indexes.grow(cache_, 1, 850);
  EXPECT_EQ(indexes.end(0), 700);
  EXPECT_EQ(indexes.end(1), 850);
  EXPECT_EQ(indexes.built_end(), 700);
  EXPECT_EQ(search(indexes, 0).size(), 690u);
  EXPECT_EQ(search(indexes, 1).size(), 840u);
  indexes.forget_growth(1);
  indexes.forget_growth(0);  // has none
  EXPECT_TRUE(std::ranges::equal(search(indexes, 1), before, [](const auto& a, const auto& b) {
    return a.id == b.id && a.score == b.score;
  }));
}

TEST_P(LayerIndexesTest, OtherTypesAreBuiltAtTheEndOnly) {
  LayerIndexes indexes(kShape, spec("flat"));
  EXPECT_FALSE(indexes.grows());
  indexes.build_complete(cache_, 10, 600, {}, 1);
  EXPECT_TRUE(indexes.empty());
  indexes.build(cache_, 10, 700, {}, 1);
  EXPECT_EQ(search(indexes, 1).size(), 690u);
  EXPECT_EQ(indexes.totals().during_ms, 0);
}

// Queries as a prefill keeps them, in bf16, of every 5th position.
Matrix<float> queries(int layer, int head, std::int64_t begin, std::int64_t end) {
  const auto first = static_cast<std::size_t>((begin + 4) / 5),
             last = static_cast<std::size_t>((end + 4) / 5);
  const Matrix<float> all =
      random_matrix(kTokens / 5, 16, static_cast<std::uint64_t>(40 + 4 * layer + head));
  Matrix<float> out(last - first, 16);
  std::transform(all.row(first), all.row(first) + out.rows() * 16, out.data(),
                 [](float v) { return to_float(to_bf16(v)); });
  return out;
}

TEST_P(LayerIndexesTest, AHarvestGivesTheIndexThatIsBuiltWithoutIt) {
  const TrainingOf all = [](int layer, int head, std::int64_t, std::int64_t) {
    return Training{queries(layer, head, 0, kTokens), {}};
  };
  const auto built = [&](const char* text, const QueriesOf& harvested, std::int64_t end) {
    LayerIndexes indexes(kShape, spec(text));
    if (harvested) indexes.harvest(cache_, 10, end, harvested);
    indexes.build(cache_, 10, 800, all, 1);
    index::IndexState state;
    indexes.at(indexes.slot(1, 1, 1)).save(state);
    return std::pair{state.arrays, indexes.totals().stats.distances};
  };
  for (const char* text : {"roar:knn=20,m=8,beam=20", "roar:knn=20,m=8,beam=20,share=head"}) {
    const auto after = built(text, {}, 0);
    EXPECT_EQ(built(text, queries, 800), after) << text;
    EXPECT_EQ(built(text, queries, 700).first, after.first) << "lists of other keys are not taken";
    const QueriesOf others = [](int layer, int head, std::int64_t begin, std::int64_t end) {
      return queries(layer + 7, head, begin, end);
    };
    EXPECT_NE(built(text, others, 800).first, after.first) << "lists are taken as they are";
  }
  LayerIndexes none(kShape, spec("qivf:segment=256"));
  none.harvest(cache_, 10, 800, queries);
  EXPECT_EQ(none.totals().stats.distances, 0) << "of a type that asks for none";
}

INSTANTIATE_TEST_SUITE_P(KvTypes, LayerIndexesTest,
                         ::testing::Values(model::KvType::kF32, model::KvType::kBf16,
                                           model::KvType::kInt8),
                         [](const auto& p) { return std::string(model::name_of(p.param)); });

}  // namespace
}  // namespace ra::attention
