// SPDX-License-Identifier: Apache-2.0
#include "lib/model/kv_cache.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "tests/support/random.h"

namespace ra::model {
namespace {

constexpr KvCache::Shape kShape{
    .layers = 3, .kv_heads = 2, .head_dim = 6, .value_dim = 4, .capacity = 37};

// Rows of K and V that say where they belong.
struct Tokens {
  Tokens(int rows, int first) : k(static_cast<std::size_t>(rows), 12), v(k.rows(), 8) {
    const auto number = [first](std::size_t t, std::size_t i) {
      return static_cast<float>(first) + static_cast<float>(t) + 0.01f * static_cast<float>(i);
    };
    for (std::size_t t = 0; t < k.rows(); ++t) {
      for (std::size_t i = 0; i < k.cols(); ++i) k.row(t)[i] = number(t, i);
      for (std::size_t i = 0; i < v.cols(); ++i) v.row(t)[i] = -number(t, i);
    }
  }
  Matrix<float> k, v;
};

TEST(KvCache, ACopyHasTheSameRowsWhateverItsCapacity) {
  for (const KvType type : {KvType::kBf16, KvType::kInt8}) {
    KvCache::Shape shape = kShape;
    shape.type = type;
    KvCache from(shape);
    const Tokens tokens(30, 5);
    for (int layer = 0; layer < 3; ++layer) from.append(layer, tokens.k.view(), tokens.v.view());
    shape.capacity = 25;
    KvCache to(shape);
    to.copy_from(from, 20);
    for (int layer = 0; layer < 3; ++layer) {
      EXPECT_EQ(to.size(layer), 20);
      for (int head = 0; head < 2; ++head) {
        const Matrix<float> a = widen_keys(from.rows(layer, head), 0, 20),
                            b = widen_keys(to.rows(layer, head), 0, 20),
                            c = widen_values(from.rows(layer, head), 0, 20),
                            d = widen_values(to.rows(layer, head), 0, 20);
        EXPECT_TRUE(std::equal(a.data(), a.data() + 20 * 6, b.data()));
        EXPECT_TRUE(std::equal(c.data(), c.data() + 20 * 4, d.data()));
      }
    }
  }
}

float value(const void* rows, KvType type, std::size_t i) {
  return type == KvType::kF32 ? static_cast<const float*>(rows)[i]
                              : to_float(static_cast<const bf16*>(rows)[i]);
}

class KvCacheTest : public ::testing::TestWithParam<KvType> {
 protected:
  KvCache::Shape shape() const {
    KvCache::Shape s = kShape;
    s.type = GetParam();
    return s;
  }
  float stored(float x) const { return GetParam() == KvType::kF32 ? x : to_float(to_bf16(x)); }
};
INSTANTIATE_TEST_SUITE_P(Types, KvCacheTest, ::testing::Values(KvType::kF32, KvType::kBf16),
                         [](const auto& p) { return p.param == KvType::kF32 ? "f32" : "bf16"; });

TEST_P(KvCacheTest, EveryLayerHeadAndPositionKeepsItsOwnNumbers) {
  KvCache cache(shape());
  for (int layer = 0; layer < 3; ++layer) {  // 1 + 30 + 6 = 37 rows fill the cache
    for (const auto& [rows, first] : {std::pair{1, 0}, {30, 1}, {6, 31}}) {
      const Tokens tokens(rows, 1000 * layer + first);
      cache.append(layer, tokens.k.view(), tokens.v.view());
    }
  }
  for (int layer = 0; layer < 3; ++layer) {
    EXPECT_EQ(cache.size(layer), 37);
    const Tokens all(37, 1000 * layer);
    for (int head = 0; head < 2; ++head) {
      const kernels::KvRows rows = cache.rows(layer, head);
      EXPECT_EQ(rows.type, GetParam());
      for (std::size_t t = 0; t < 37; ++t) {
        for (std::size_t i = 0; i < 6; ++i)
          ASSERT_EQ(value(rows.k, rows.type, t * 6 + i),
                    stored(all.k.row(t)[static_cast<std::size_t>(head) * 6 + i]));
        for (std::size_t i = 0; i < 4; ++i)
          ASSERT_EQ(value(rows.v, rows.type, t * 4 + i),
                    stored(all.v.row(t)[static_cast<std::size_t>(head) * 4 + i]));
      }
    }
  }
}

TEST_P(KvCacheTest, TruncateForgetsTheTailOfEveryLayer) {
  KvCache cache(shape());
  const Tokens first(9, 0), again(2, 500);
  for (int layer = 0; layer < 3; ++layer) cache.append(layer, first.k.view(), first.v.view());
  cache.truncate(20);
  EXPECT_EQ(cache.size(1), 9);
  cache.truncate(4);
  for (int layer = 0; layer < 3; ++layer) EXPECT_EQ(cache.size(layer), 4);
  cache.append(1, again.k.view(), again.v.view());
  EXPECT_EQ(cache.size(1), 6);
  const kernels::KvRows rows = cache.rows(1, 0);
  EXPECT_EQ(value(rows.k, rows.type, 3 * 6), stored(3));
  EXPECT_EQ(value(rows.k, rows.type, 4 * 6), stored(500));
}

TEST_P(KvCacheTest, StoredRowsOfAnotherCacheAreTheSameRows) {
  KvCache from(shape()), to(shape());
  const Tokens tokens(11, 0), first(2, 300);
  from.append(1, tokens.k.view(), tokens.v.view());
  to.append(1, first.k.view(), first.v.view());
  EXPECT_EQ(to.size(), 0);
  // Both heads lie one capacity apart in the first cache; 9 of its 11 rows are taken.
  to.append_stored(1, 9, 37, static_cast<const std::byte*>(from.rows(1, 0).k),
                   static_cast<const std::byte*>(from.rows(1, 0).v));
  EXPECT_EQ(to.size(1), 11);
  for (int head = 0; head < 2; ++head) {
    const kernels::KvRows a = from.rows(1, head), b = to.rows(1, head);
    for (std::size_t i = 0; i < 9 * 6; ++i)
      ASSERT_EQ(value(a.k, a.type, i), value(b.k, b.type, 2 * 6 + i));
    for (std::size_t i = 0; i < 9 * 4; ++i)
      ASSERT_EQ(value(a.v, a.type, i), value(b.v, b.type, 2 * 4 + i));
    EXPECT_EQ(value(b.k, b.type, 6), stored(301.0f + 0.01f * 6 * static_cast<float>(head)));
  }
}

TEST_P(KvCacheTest, BytesCountBothHalves) {
  EXPECT_EQ(KvCache::bytes(shape()),
            3u * 2 * 37 * (6 + 4) * (GetParam() == KvType::kF32 ? 4u : 2u));
}

TEST(KvCacheInt8Test, RowsComeBackInTheFrameOfTheFirstOnes) {
  const KvCache::Shape shape{.layers = 2,
                             .kv_heads = 2,
                             .head_dim = 8,
                             .value_dim = 4,
                             .capacity = 60,
                             .type = KvType::kInt8};
  EXPECT_EQ(KvCache::bytes(shape), 2u * 2 * 60 * (8 + 4 + 4 + 4));
  Matrix<float> k(60, 16), v(60, 8);
  std::ranges::copy(testing::random_floats(60 * 16, 1), k.data());
  std::ranges::copy(testing::random_floats(60 * 8, 2), v.data());
  for (std::size_t t = 0; t < 60; ++t) k.row(t)[9] += 100;
  KvCache cache(shape), stored(shape);
  for (const auto& [first, n] : {std::pair<std::size_t, std::size_t>{0, 40}, {40, 1}, {41, 19}})
    cache.append(1, MatView<const float>(k.view()).row_range(first, n),
                 MatView<const float>(v.view()).row_range(first, n));
  ASSERT_EQ(cache.frame(1).size(), 2u * 2 * 8);
  for (std::size_t h = 0; h < 2; ++h) {
    const kernels::KvRows rows = cache.rows(1, static_cast<int>(h));
    const auto centre = cache.frame(1).subspan(h * 16, 8);
    float key[8], value[4];
    for (std::size_t t = 0; t < 60; ++t) {
      widen_key(rows, t, key), widen_value(rows, t, value);
      for (std::size_t i = 0; i < 8; ++i)
        ASSERT_NEAR(key[i] + centre[i], k.row(t)[h * 8 + i], 0.02) << t << " " << i;
      for (std::size_t i = 0; i < 4; ++i) ASSERT_NEAR(value[i], v.row(t)[h * 4 + i], 0.02);
    }
  }
  stored.append_stored(1, 60, 60, static_cast<const std::byte*>(cache.rows(1, 0).k),
                       static_cast<const std::byte*>(cache.rows(1, 0).v), cache.frame(1));
  EXPECT_TRUE(std::ranges::equal(stored.frame(1), cache.frame(1)));
  EXPECT_EQ(std::memcmp(stored.rows(1, 1).k, cache.rows(1, 1).k, 60 * 12), 0);
}

TEST(KvTypes, NamesAreParsed) {
  for (const KvType type : {KvType::kF32, KvType::kBf16, KvType::kInt8})
    EXPECT_EQ(parse_kv_type(name_of(type)), type);
  EXPECT_FALSE(parse_kv_type("int4"));
}

TEST(KvCacheRoundingTest, Bf16RoundsToNearestEven) {
  KvCache cache({.layers = 1, .kv_heads = 1, .head_dim = 4, .value_dim = 1, .capacity = 1});
  Matrix<float> k(1, 4), v(1, 1);
  k.row(0)[0] = 1 + 0x1p-8f;             // a tie, down to even
  k.row(0)[1] = 1 + 3 * 0x1p-8f;         // a tie, up to even
  k.row(0)[2] = 1 + 0x1p-8f + 0x1p-20f;  // above the tie
  k.row(0)[3] = std::nanf("");
  cache.append(0, k.view(), v.view());
  const auto* rows = static_cast<const bf16*>(cache.rows(0, 0).k);
  EXPECT_EQ(to_float(rows[0]), 1);
  EXPECT_EQ(to_float(rows[1]), 1 + 0x1p-6f);
  EXPECT_EQ(to_float(rows[2]), 1 + 0x1p-7f);
  EXPECT_TRUE(std::isnan(to_float(rows[3])));
}

TEST(KvCacheDeathTest, RefusesToOverrun) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  KvCache cache(kShape);
  const Tokens many(38, 0), ok(37, 0);
  EXPECT_DEATH(cache.append(0, many.k.view(), many.v.view()), "capacity");
  EXPECT_DEATH(cache.append(3, ok.k.view(), ok.v.view()), "layer");
  EXPECT_DEATH(cache.rows(0, 2), "kv_head");
  const std::vector<std::byte> stored(38 * 2 * 6 * 2);
  EXPECT_DEATH(cache.append_stored(0, 38, 38, stored.data(), stored.data()), "capacity");
}

TEST(ScoreKeysTest, AreProductsWithTheWidenedKeysOfEveryType) {
  for (const KvType type : {KvType::kF32, KvType::kBf16, KvType::kInt8}) {
    KvCache cache(
        {.layers = 1, .kv_heads = 2, .head_dim = 8, .value_dim = 8, .capacity = 40, .type = type});
    const auto k = ra::testing::random_matrix(40, 16, 1), q = ra::testing::random_matrix(1, 8, 2);
    cache.append(0, k.view(), k.view());
    std::vector<float> scores(30), key(8);
    score_keys(cache.rows(0, 1), q.row(0), scores);
    for (std::size_t i = 0; i < scores.size(); ++i) {
      widen_key(cache.rows(0, 1), i, key);
      double want = 0;
      for (std::size_t j = 0; j < 8; ++j) want += static_cast<double>(q.row(0)[j] * key[j]);
      EXPECT_NEAR(scores[i], want, 1e-5) << i;
    }
  }
}

}  // namespace
}  // namespace ra::model
