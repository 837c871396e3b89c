// SPDX-License-Identifier: Apache-2.0
#include "lib/index/coded_scan.h"

#include <gtest/gtest.h>

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
    EXPECT_EQ(found.stats.distances, 50 * (2000 + 100)) << "effort is the number scored exactly";
  }
}

TEST(CodedScanTest, AGroupReadsTheCodesOnce) {
  const auto set = testing::ood_set(1600, 16, 100, 2);
  const auto index = testing::build("flat:bits=8,rerank=50", set.keys.view());
  std::vector<std::vector<Hit>> hits(4);
  const auto scratch = index->make_scratch();
  const auto stats =
      index->search(set.test.view().row_range(0, 4), {.k = 5, .effort = 0}, *scratch, hits);
  EXPECT_EQ(stats.bytes, 1600 * 16 + 4 * 50 * 16 * 4);
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
