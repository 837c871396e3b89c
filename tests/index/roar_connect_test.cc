// SPDX-License-Identifier: Apache-2.0
#include "lib/index/roar_connect.h"

#include <gtest/gtest.h>

#include <numeric>

#include "lib/index/query_metric.h"
#include "tests/index/synthetic.h"

namespace ra::index {
namespace {

std::size_t reached(const LinkLists& links, std::span<const std::uint32_t> entries) {
  const auto marks = reachable_from(Graph(links), entries);
  return static_cast<std::size_t>(std::accumulate(marks.begin(), marks.end(), 0));
}

TEST(RoarConnectTest, CentralKeyIsNearestToTheMeanAndHasLinks) {
  Matrix<float> line(5, 1);
  for (std::size_t i = 0; i < 5; ++i) line.row(i)[0] = static_cast<float>(i);
  EXPECT_EQ(central_key(line.view(), LinkLists(5)), 2u);
  EXPECT_EQ(central_key(line.view(), LinkLists{{1}, {0}, {}, {}, {}}), 1u);
}

TEST(RoarConnectTest, HubsCoverTheQueriesGreedily) {
  // 7 is in three lists; of the rest 2 is in the two lists left.
  const KnnTable table{.queries = 5, .k = 2, .ids = {7, 1, 7, 2, 7, 3, 2, 4, 2, 5}};
  EXPECT_EQ(hub_keys(table, 8, 10), (std::vector<std::uint32_t>{2, 7}));
  EXPECT_EQ(hub_keys(table, 8, 1), (std::vector<std::uint32_t>{2}));
  EXPECT_TRUE(hub_keys({}, 8, 4).empty());
}

class ConnectTest : public ::testing::Test {
 protected:
  ConnectTest() : x_(lift_to_sphere(testing::gaussian(400, 6, 8).view())) {
    // A chain of the first 100 keys; the others have no links at all.
    links_.resize(400);
    for (std::uint32_t i = 0; i + 1 < 100; ++i) links_[i] = {i + 1};
    for (std::uint32_t i = 1; i < 100; ++i) links_[i].push_back(i - 1);
  }
  const Matrix<float> x_;
  LinkLists links_;
  const std::uint32_t entry_ = 0;
  BuildClock clock_;
  std::int64_t distances_ = 0;
};

TEST_F(ConnectTest, BatchesLinkKeysThatOneSweepLeavesApart) {
  LinkLists once = links_, batched = links_;
  const ConnectParams one{.m = 8, .beam = 60, .batches = 1, .seed = 1};
  connect(x_.view(), {&entry_, 1}, one, once, clock_, distances_);
  connect(x_.view(), {&entry_, 1}, {.m = 8, .beam = 60, .batches = 8, .seed = 1}, batched, clock_,
          distances_);
  EXPECT_GT(distances_, 400);
  EXPECT_GE(reached(batched, {&entry_, 1}), reached(once, {&entry_, 1}));
  EXPECT_GT(reached(batched, {&entry_, 1}), 390u);
  std::size_t between_unlisted = 0;  // links among keys that had none
  for (std::size_t i = 100; i < 400; ++i) {
    EXPECT_LE(batched[i].size(), 8u);
    for (const std::uint32_t to : once[i]) EXPECT_LT(to, 100u);
    for (const std::uint32_t to : batched[i]) between_unlisted += to >= 100;
  }
  EXPECT_GT(between_unlisted, 300u);
  for (std::size_t i = 0; i < 100; ++i) {
    EXPECT_LE(batched[i].size(), links_[i].size() + 8);
    for (const std::uint32_t to : links_[i])
      EXPECT_NE(std::find(batched[i].begin(), batched[i].end(), to), batched[i].end())
          << "links of the projection stay";
  }
}

TEST_F(ConnectTest, RepairReachesEveryKey) {
  EXPECT_EQ(reached(links_, {&entry_, 1}), 100u);
  repair(x_.view(), {&entry_, 1}, links_, distances_);
  EXPECT_EQ(reached(links_, {&entry_, 1}), 400u);
  const LinkLists before = links_;
  repair(x_.view(), {&entry_, 1}, links_, distances_);
  EXPECT_EQ(links_, before) << "nothing to do the second time";
}

}  // namespace
}  // namespace ra::index
