// SPDX-License-Identifier: Apache-2.0
#include "lib/index/coded_scan.h"

#include <gtest/gtest.h>

#include "lib/index/key_store.h"
#include "tests/index/synthetic.h"

namespace ra::index {
namespace {

TEST(CodedScanTest, FindsTheBestAndCountsCodesApart) {
  const auto set = testing::ood_set(2000, 32, 500, 1);
  for (const char* text : {"flat:bits=8,rerank=60", "flat:bits=4,rerank=200", "qscan:rank=16"}) {
    SCOPED_TRACE(text);
    const auto index = testing::build(text, set.keys.view(), set.train.view());
    const auto found = testing::search(*index, set.test.view(), 20, 100);
    EXPECT_GT(testing::recall(set.keys.view(), set.test.view(), found, 20), 0.97);
    EXPECT_EQ(found.stats.coded, 50 * 2000);
    const auto exact = static_cast<double>(found.stats.distances - found.stats.coded) / 50;
    EXPECT_NEAR(exact, 100, 25) << "effort is about the number scored exactly";
  }
}

TEST(CodedScanTest, AGroupReadsTheCodesOnce) {
  const auto set = testing::ood_set(1600, 16, 100, 2);
  const auto index = testing::build("flat:bits=8,rerank=50", set.keys.view());
  std::vector<std::vector<Hit>> hits(4);
  const auto scratch = index->make_scratch();
  const auto stats =
      index->search(set.test.view().row_range(0, 4), {.k = 5, .effort = 0}, *scratch, hits);
  const std::int64_t found = (stats.distances - stats.coded) / 4;
  EXPECT_GE(found, 50);
  EXPECT_LE(found, 4 * 50);
  EXPECT_EQ(stats.bytes, 1600 * 16 + found * 16 * 4) << "codes and the keys found, once";
}

// Good keys that lie side by side, anywhere: the sample must see its share of them.
TEST(CodedScanTest, FindsAStretchOfGoodKeys) {
  constexpr std::size_t kKeys = 5003, kStretch = 60;
  auto keys = testing::gaussian(kKeys, 16, 4);
  const auto query = testing::gaussian(1, 16, 5);
  for (const std::size_t first : {0u, 1u, 777u, 4900u, 4943u}) {
    Matrix<float> with = copy_rows(keys.view());
    for (std::size_t i = first; i < first + kStretch; ++i)
      for (std::size_t j = 0; j < 16; ++j) with.row(i)[j] += 3 * query.row(0)[j];
    const auto index = testing::build("flat:bits=8,rerank=100", with.view());
    const auto found = testing::search(*index, query.view(), kStretch, 100);
    EXPECT_GT(testing::recall(with.view(), query.view(), found, kStretch), 0.97) << first;
  }
}

TEST(CodedScanTest, MoreQueriesThanATileHas) {
  const auto set = testing::ood_set(700, 16, 100, 6);
  const auto index = testing::build("flat:bits=8,rerank=80", set.keys.view());
  constexpr std::size_t kGroup = 40;
  const auto scratch = index->make_scratch();
  std::vector<std::vector<Hit>> together(kGroup), alone(1);
  const auto stats = index->search(set.test.view().row_range(0, kGroup), {.k = 10, .effort = 0},
                                   *scratch, together);
  EXPECT_EQ(stats.coded, 40 * 700);
  for (std::size_t r = 0; r < kGroup; ++r) {
    (void)index->search(set.test.view().row_range(r, 1), {.k = 10, .effort = 0}, *scratch, alone);
    ASSERT_EQ(together[r].size(), 10u);
    // What others brought may only be better.
    for (std::size_t i = 0; i < 10; ++i) EXPECT_GE(together[r][i].score, alone[0][i].score);
  }
}

TEST(CodedScanTest, FewerBitsTakeLessMemory) {
  const auto set = testing::ood_set(1600, 16, 100, 3);
  const auto bytes = [&](const char* text) {
    return testing::build(text, set.keys.view(), set.train.view())->memory_bytes();
  };
  EXPECT_EQ(bytes("flat:bits=8") - bytes("flat:bits=4"), 1600u * 8);
  EXPECT_LT(bytes("qscan:rank=4"), bytes("flat:bits=8"));
}

}  // namespace
}  // namespace ra::index
