// SPDX-License-Identifier: Apache-2.0
#include "lib/model/kv_tail.h"

#include <gtest/gtest.h>

#include <cstring>

#include "tests/support/random.h"

namespace ra::model {
namespace {

KvCache::Shape shape(KvType type) {
  return {.layers = 3, .kv_heads = 2, .head_dim = 6, .value_dim = 4, .capacity = 20, .type = type};
}

void append_random(KvCache& cache, std::size_t rows, std::uint64_t seed) {
  for (int layer = 0; layer < 3; ++layer) {
    const auto k = testing::random_floats(rows * 12, seed + static_cast<std::uint64_t>(layer));
    const auto v = testing::random_floats(rows * 8, seed + 10 + static_cast<std::uint64_t>(layer));
    cache.append(layer, {k.data(), rows, 12}, {v.data(), rows, 8});
  }
}

void expect_equal(const KvCache& a, const KvCache& b) {
  ASSERT_EQ(a.size(), b.size());
  const auto n = static_cast<std::size_t>(a.size());
  for (int layer = 0; layer < 3; ++layer)
    for (int head = 0; head < 2; ++head) {
      const kernels::KvRows x = a.rows(layer, head), y = b.rows(layer, head);
      EXPECT_EQ(std::memcmp(x.k, y.k, n * kernels::row_bytes(x.type, 6)), 0)
          << layer << ' ' << head;
      EXPECT_EQ(std::memcmp(x.v, y.v, n * kernels::row_bytes(x.type, 4)), 0)
          << layer << ' ' << head;
    }
}

class KvTailTest : public ::testing::TestWithParam<KvType> {};
INSTANTIATE_TEST_SUITE_P(Types, KvTailTest,
                         ::testing::Values(KvType::kF32, KvType::kBf16, KvType::kInt8));

TEST_P(KvTailTest, TwoContinuationsTakeTurnsOnOneCache) {
  KvCache first(shape(GetParam())), second(shape(GetParam())), shared(shape(GetParam()));
  for (KvCache* cache : {&first, &second, &shared}) append_random(*cache, 9, 1);
  KvTail of_first, of_second;
  const auto turn = [&](KvTail& tail, KvCache& own, std::size_t rows, std::uint64_t seed) {
    shared.truncate(9);
    tail.put_back(shared);
    append_random(shared, rows, seed);
    append_random(own, rows, seed);
    tail.keep(shared, 9);
    expect_equal(shared, own);
  };
  turn(of_first, first, 3, 20);
  turn(of_second, second, 3, 40);
  turn(of_first, first, 8, 60);
  turn(of_second, second, 1, 80);
}

TEST(KvTail, AnEmptyOneGivesNothingBack) {
  KvCache cache(shape(KvType::kBf16));
  append_random(cache, 5, 1);
  KvTail tail;
  tail.put_back(cache);
  EXPECT_EQ(cache.size(), 5);
  tail.keep(cache, 5);
  tail.put_back(cache);
  EXPECT_EQ(cache.size(), 5);
}

TEST(KvTail, SaysItsSize) {
  EXPECT_EQ(KvTail::bytes(shape(KvType::kBf16), 7), 3u * 2 * 7 * 10 * 2);
  EXPECT_EQ(KvTail::bytes(shape(KvType::kF32), 0), 0u);
}

}  // namespace
}  // namespace ra::model
