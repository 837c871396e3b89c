// SPDX-License-Identifier: Apache-2.0
#include "lib/index/qivf.h"

#include <gtest/gtest.h>

#include "tests/index/synthetic.h"

namespace ra::index {
namespace {

class QivfTest : public ::testing::TestWithParam<const char*> {
 protected:
  const testing::OodSet set_ = testing::ood_set(4000, 32, 800, 1);
  std::unique_ptr<VectorIndex> build(const std::string& more = "") const {
    return testing::build(std::string(GetParam()) + more, set_.keys.view(), set_.train.view());
  }
  double recall(const testing::Found& found) const {
    return testing::recall(set_.keys.view(), set_.test.view(), found, 20);
  }
};

TEST_P(QivfTest, FindsMostWithLittleAndMoreWithMore) {
  const auto index = build();
  const auto some = testing::search(*index, set_.test.view(), 20, 60);
  const auto many = testing::search(*index, set_.test.view(), 20, 200);
  EXPECT_GT(recall(some), 0.85);
  EXPECT_LT(some.stats.distances, 50 * 4000 / 2);
  EXPECT_GT(recall(many), recall(some));
  EXPECT_GT(many.stats.distances, some.stats.distances);
  EXPECT_EQ(some.stats.hops, 50 * 60);
}

TEST_P(QivfTest, AGroupReadsWhatItsHeadsShareOnce) {
  const auto index = build();
  Matrix<float> twice(2, 32);
  for (std::size_t r = 0; r < 2; ++r) std::copy_n(set_.test.row(0), 32, twice.row(r));
  std::vector<std::vector<Hit>> hits(2);
  const auto scratch = index->make_scratch();
  const SearchParams params{.k = 10, .effort = 20};
  const auto one = index->search(twice.view().row_range(0, 1), params, *scratch, hits);
  const auto two = index->search(twice.view(), params, *scratch, hits);
  EXPECT_EQ(two.distances, 2 * one.distances);
  EXPECT_EQ(two.coded, 2 * one.coded);
  EXPECT_LT(two.bytes, 2 * one.bytes);
}

TEST_P(QivfTest, KeysInBf16AreStoredInTwoBytes) {
  Matrix<float> narrow(4000, 32);
  for (std::size_t i = 0; i < 4000 * 32; ++i)
    narrow.data()[i] = to_float(to_bf16(set_.keys.data()[i]));
  const auto index = testing::build(GetParam(), narrow.view(), set_.train.view());
  EXPECT_EQ(index->build_stats().key_bytes, 4000 * 32 * 2);
  EXPECT_EQ(build()->build_stats().key_bytes, 4000 * 32 * 4);
}

INSTANTIATE_TEST_SUITE_P(Lists, QivfTest,
                         ::testing::Values("qivf:codes=none", "qivf:lists=500,rerank=100"),
                         [](const auto& p) { return p.index == 0 ? "exact" : "codes"; });

TEST(QivfCodesTest, MostProductsAreOnCodes) {
  const auto set = testing::ood_set(4000, 32, 800, 1);
  const auto index =
      testing::build("qivf:codes=16,lists=500,rerank=50,open=2", set.keys.view(), set.train.view());
  const auto found = testing::search(*index, set.test.view(), 20, 100);
  EXPECT_GT(found.stats.coded, 50 * 800);
  EXPECT_LT(found.stats.distances - found.stats.coded, 50 * (50 + 4 * 100 + 100));
  EXPECT_GT(testing::recall(set.keys.view(), set.test.view(), found, 20), 0.85);
}

}  // namespace
}  // namespace ra::index
