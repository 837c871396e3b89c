// SPDX-License-Identifier: Apache-2.0
#include "lib/index/beam_search.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/index/synthetic.h"

namespace ra::index {
namespace {

// A ring: every key links to the next, so a search walks it one by one.
class BeamSearchTest : public ::testing::Test {
 protected:
  BeamSearchTest() {
    LinkLists links(200);
    for (std::uint32_t i = 0; i < 200; ++i) links[i] = {(i + 1) % 200, (i + 7) % 200};
    graph_ = Graph(links);
  }
  const Matrix<float> keys_ = testing::gaussian(200, 6, 1), queries_ = testing::gaussian(20, 6, 2);
  Graph graph_;
  const std::uint32_t entry_ = 3;
};

TEST_F(BeamSearchTest, AFullBeamSeesEveryKeyOnce) {
  BeamScratch scratch;
  for (std::size_t i = 0; i < 20; ++i) {
    const auto counts =
        beam_search(graph_, keys_.view(), queries_.row(i), {&entry_, 1}, {200, 200}, scratch);
    EXPECT_EQ(counts.distances, 200);
    EXPECT_EQ(counts.hops, 200);
    const auto truth = testing::exact(keys_.view(), queries_.row(i), 200);
    ASSERT_EQ(scratch.pool.size(), 200u);
    for (std::size_t j = 0; j < 200; ++j) EXPECT_EQ(scratch.pool[j].id, truth[j].id);
  }
}

TEST_F(BeamSearchTest, KeepsTheBestSeenBeyondTheBeam) {
  BeamScratch narrow, wide;
  const auto a = beam_search(graph_, keys_.view(), queries_.row(0), {&entry_, 1}, {4, 4}, narrow);
  const auto b = beam_search(graph_, keys_.view(), queries_.row(0), {&entry_, 1}, {4, 50}, wide);
  EXPECT_EQ(narrow.pool.size(), 4u);
  EXPECT_EQ(wide.pool.size(), std::min<std::size_t>(50, static_cast<std::size_t>(b.distances)));
  EXPECT_EQ(a.distances, b.distances) << "what is kept does not change what is expanded";
  for (std::size_t j = 0; j < 4; ++j) EXPECT_EQ(narrow.pool[j].id, wide.pool[j].id);
  EXPECT_LT(a.distances, 200);
}

TEST_F(BeamSearchTest, ReportsExpandedNodesAndSurvivesRepeatedEntries) {
  BeamScratch scratch;
  const std::uint32_t entries[] = {3, 3, 9, 3};
  std::vector<Hit> expanded;
  const auto counts =
      beam_search(graph_, keys_.view(), queries_.row(1), entries, {10, 10}, scratch, &expanded);
  EXPECT_EQ(static_cast<std::int64_t>(expanded.size()), counts.hops);
  for (std::size_t i = 0; i < expanded.size(); ++i)
    for (std::size_t j = 0; j < i; ++j) EXPECT_NE(expanded[i].id, expanded[j].id);
}

TEST_F(BeamSearchTest, NoEntriesFindNothing) {
  BeamScratch scratch;
  EXPECT_EQ(beam_search(graph_, keys_.view(), queries_.row(0), {}, {10, 10}, scratch).distances, 0);
  EXPECT_TRUE(scratch.pool.empty());
}

TEST_F(BeamSearchTest, LaterLinksAreFollowedWhenASecondKeyNamesThem) {
  const Graph graph(LinkLists{{1, 2, 3}, {4, 3}, {}, {}, {}});
  const std::uint32_t entry = 0, hint = 2;
  const auto seen = [&](const BeamParams& params) {
    BeamScratch scratch;
    beam_search(graph, keys_.view().row_range(0, 5), queries_.row(0), {&entry, 1}, params, scratch);
    std::vector<std::uint32_t> ids;
    for (const auto& node : scratch.pool) ids.push_back(node.id);
    std::sort(ids.begin(), ids.end());
    return ids;
  };
  EXPECT_EQ(seen({.beam = 5}), (std::vector<std::uint32_t>{0, 1, 2, 3, 4}));
  EXPECT_EQ(seen({.beam = 5, .first = 3}), (std::vector<std::uint32_t>{0, 1, 2, 3, 4}));
  EXPECT_EQ(seen({.beam = 5, .first = 1}), (std::vector<std::uint32_t>{0, 1, 3, 4}))
      << "0 and 1 name 3, only 0 names 2";
  EXPECT_EQ(seen({.beam = 5, .first = 1, .named = {&hint, 1}}),
            (std::vector<std::uint32_t>{0, 1, 2, 3, 4}));
  EXPECT_EQ(seen({.beam = 5, .first = 0}), (std::vector<std::uint32_t>{0}));
}

TEST_F(BeamSearchTest, StoredKeysGiveTheSameSearch) {
  const KeyRows rows(keys_.view());
  BeamScratch a, b;
  const BeamParams params{.beam = 10, .keep = 30};
  const auto plain = beam_search(graph_, keys_.view(), queries_.row(2), {&entry_, 1}, params, a);
  const auto stored = beam_search(graph_, rows, queries_.row(2), {&entry_, 1}, params, b);
  EXPECT_EQ(plain.distances, stored.distances);
  ASSERT_EQ(a.pool.size(), b.pool.size());
  for (std::size_t i = 0; i < a.pool.size(); ++i) EXPECT_EQ(a.pool[i].id, b.pool[i].id);
}

}  // namespace
}  // namespace ra::index
