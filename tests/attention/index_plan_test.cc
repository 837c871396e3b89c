// SPDX-License-Identifier: Apache-2.0
#include "lib/attention/index_plan.h"

#include <gtest/gtest.h>

#include <string>

#include "lib/attention/modes.h"
#include "tests/support/random.h"

namespace ra::attention {
namespace {

constexpr std::size_t kTokens = 1500;
const AttentionShape kShape{.layers = 3,
                            .heads = 4,
                            .kv_heads = 2,
                            .head_dim = 32,
                            .value_dim = 16,
                            .windowed = {false, true, false}};

Training training(int, int, std::int64_t, std::int64_t) {
  return {testing::random_matrix(200, 32, 7), {}};
}

SparseOptions options(const std::string& spec, bool tail = false) {
  return {.sink = 10,
          .window = 90,
          .tail = tail,
          .index = index::check_index_spec(parse_specs(spec).front())};
}

std::size_t built_bytes(const SparseOptions& o, model::KvType type) {
  model::KvCache cache({.layers = kShape.layers,
                        .kv_heads = kShape.kv_heads,
                        .head_dim = kShape.head_dim,
                        .value_dim = kShape.value_dim,
                        .capacity = kTokens,
                        .type = type});
  for (int layer = 0; layer < kShape.layers; ++layer)
    cache.append(layer, testing::random_matrix(kTokens, 64, 1).view(),
                 testing::random_matrix(kTokens, 32, 2).view());
  SparseAttention attention(kShape, o);
  attention.build(cache, training, 1);
  return attention.totals().bytes;
}

void expect_planned(const SparseOptions& o, model::KvType type) {
  SCOPED_TRACE(o.index->spec.text() + " " + std::string(model::name_of(type)));
  const auto planned = static_cast<double>(plan_indexes(kShape, o, kTokens - 100, type).bytes),
             built = static_cast<double>(built_bytes(o, type));
  EXPECT_LE(built, planned * 1.01);  // levels of HNSW are drawn
  EXPECT_GE(built, planned * (o.index->spec.name == "qgraph" ? 0.4 : 0.8));
}

TEST(IndexPlan, IsWhatTheIndexesOfEveryModeTake) {
  for (const Mode& mode : modes()) {
    if (mode.index.empty()) continue;
    for (const auto type : {model::KvType::kBf16, model::KvType::kF32, model::KvType::kInt8})
      expect_planned(options(std::string(mode.index), mode.tail), type);
  }
  expect_planned(options("qgraph"), model::KvType::kBf16);
  expect_planned(options("qgraph:share=head"), model::KvType::kInt8);
  expect_planned(options("flat:bits=4"), model::KvType::kInt8);
  SparseOptions rest = options("qivf");
  rest.group = rest.rest = true;
  rest.share = 0.001;
  expect_planned(rest, model::KvType::kInt8);
  const std::size_t with = built_bytes(rest, model::KvType::kBf16);
  rest.rest = false;
  EXPECT_LT(built_bytes(rest, model::KvType::kBf16), with);
}

TEST(IndexPlan, AGroupThatKeepsTheCachesKeysTakesLessThanACopy) {
  const auto bytes = [](const char* spec) {
    return static_cast<double>(plan_indexes({.layers = 24,
                                             .heads = 14,
                                             .kv_heads = 2,
                                             .head_dim = 64,
                                             .value_dim = 64,
                                             .windowed = {}},
                                            options(spec), 130000, model::KvType::kBf16)
                                   .bytes) /
           (48 * 130000.0);
  };
  EXPECT_NEAR(bytes("flat"), 128, 1);
  EXPECT_NEAR(bytes("flat:bits=8"), 64, 1);
  EXPECT_NEAR(bytes("qivf"), 37, 2);
  EXPECT_NEAR(bytes("ivf"), 263, 4);
  EXPECT_LT(bytes("qgraph"), 1000);  // seven graphs
}

TEST(IndexPlan, ListsOfHarvestedQueriesAreCountedWhereAnIndexAsksForThem) {
  const auto lists = [](const char* spec) {
    return plan_indexes(kShape, options(spec), 1000, model::KvType::kBf16, 64).lists;
  };
  // Of 4 heads in the two layers that have an index; an id and a score each.
  EXPECT_NEAR(static_cast<double>(lists("roar:knn=50")), 2 * 4 * 64 * 50 * 8.0, 2 * 4 * 64 * 32);
  EXPECT_EQ(lists("roar:knn=50,queries=100"), 0u);
  EXPECT_EQ(lists("qgraph"), 0u);
}

TEST(IndexPlan, NothingWithoutAnIndexOrKeys) {
  const SparseOptions streaming{.sink = 10, .window = 90, .index = {}};
  EXPECT_EQ(plan_indexes(kShape, streaming, 1000, model::KvType::kBf16).bytes, 0u);
  EXPECT_EQ(plan_indexes(kShape, options("qivf"), -5, model::KvType::kBf16).bytes, 0u);
  EXPECT_EQ(plan_indexes(kShape, options("qivf"), -5, model::KvType::kBf16).building, 0u);
}

}  // namespace
}  // namespace ra::attention
