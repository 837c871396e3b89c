// SPDX-License-Identifier: Apache-2.0
#include "lib/model/kv_tensors.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "lib/core/error.h"
#include "tests/support/random.h"
#include "tests/support/temp_folder.h"

namespace ra::model {
namespace {

constexpr std::int64_t kRows = 9, kCapacity = 12;

KvCache random_cache(KvType type) {
  KvCache cache({.layers = 2,
                 .kv_heads = 3,
                 .head_dim = 4,
                 .value_dim = 6,
                 .capacity = kCapacity,
                 .type = type});
  Matrix<float> k(kRows, 12), v(kRows, 18);
  for (int layer = 0; layer < 2; ++layer) {
    std::ranges::copy(testing::random_floats(kRows * 12, 1 + static_cast<unsigned>(layer)),
                      k.data());
    std::ranges::copy(testing::random_floats(kRows * 18, 9 + static_cast<unsigned>(layer)),
                      v.data());
    cache.append(layer, k.view(), v.view());
  }
  return cache;
}

QuerySample random_sample() {  // 2 layers, 6 heads of 4
  QuerySample sample{{0, 2, 4, 6, 8}, {}};
  for (unsigned layer = 0; layer < 2; ++layer) {
    sample.layers.emplace_back(6 * 5, 4);
    std::ranges::copy(testing::random_bf16(6 * 5 * 4, 77 + layer), sample.layers.back().data());
  }
  return sample;
}

class KvTensorsTest : public ::testing::TestWithParam<KvType> {};
INSTANTIATE_TEST_SUITE_P(Types, KvTensorsTest,
                         ::testing::Values(KvType::kF32, KvType::kBf16, KvType::kInt8),
                         [](const auto& p) { return std::string(name_of(p.param)); });

TEST_P(KvTensorsTest, RowsOfACacheComeBack) {
  const KvCache cache = random_cache(GetParam());
  const testing::TempFolder folder;
  std::vector<TensorSource> tensors;
  add_kv(tensors, cache, 2, 7);  // positions 2..8
  write_tensor_file(folder / "f", false, "TESTFILE", Json::object(), tensors);
  const TensorFile file(folder / "f", "TESTFILE", "thing");
  EXPECT_EQ(file.tensors().size(), GetParam() == KvType::kInt8 ? 6u : 4u);
  check_kv(file, cache.shape(), 7);
  EXPECT_THROW(check_kv(file, cache.shape(), 6), Error);
  KvCache back(cache.shape());
  append_kv(file, 7, 5, back);
  EXPECT_EQ(back.size(), 5);
  const std::size_t k_row = kernels::row_bytes(GetParam(), 4);
  const std::size_t v_row = kernels::row_bytes(GetParam(), 6);
  for (int layer = 0; layer < 2; ++layer) {
    EXPECT_TRUE(std::ranges::equal(back.frame(layer), cache.frame(layer)));
    for (int head = 0; head < 3; ++head) {
      const kernels::KvRows want = cache.rows(layer, head), got = back.rows(layer, head);
      const auto at = [](const void* p, std::size_t n) { return static_cast<const char*>(p) + n; };
      EXPECT_EQ(std::memcmp(at(want.k, 2 * k_row), got.k, 5 * k_row), 0);
      EXPECT_EQ(std::memcmp(at(want.v, 2 * v_row), got.v, 5 * v_row), 0);
    }
  }
}

TEST(KvTensors, QueriesOfARangeLieHeadByHead) {
  const QuerySample sample = random_sample();
  const testing::TempFolder folder;
  std::vector<TensorSource> tensors;
  add_queries(tensors, sample, 1, 3);  // positions 2, 4, 6
  write_tensor_file(folder / "f", false, "TESTFILE", Json::object(), tensors);
  const TensorFile file(folder / "f", "TESTFILE", "thing");
  for (int layer = 0; layer < 2; ++layer) {
    const auto q = file.require(layer, "q_train", 6 * 3 * 4 * 2);
    for (std::size_t head = 0; head < 6; ++head)
      EXPECT_EQ(
          std::memcmp(q.data() + head * 3 * 4 * 2,
                      sample.layers[static_cast<std::size_t>(layer)].row(head * 5 + 1), 3 * 4 * 2),
          0);
    const auto pos = file.require(layer, "q_train_pos", 3 * 8);
    EXPECT_EQ(std::memcmp(pos.data(), sample.pos.data() + 1, 3 * 8), 0);
  }
}

TEST(KvTensors, BytesCountOneLayer) {
  const KvCache cache = random_cache(KvType::kBf16);
  EXPECT_EQ(k_bytes(cache.shape(), 5), 3u * 5 * 4 * 2);
  EXPECT_EQ(v_bytes(cache.shape(), 5), 3u * 5 * 6 * 2);
}

}  // namespace
}  // namespace ra::model
