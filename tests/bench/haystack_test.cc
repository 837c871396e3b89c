// SPDX-License-Identifier: Apache-2.0
#include "lib/bench/haystack.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <numeric>

#include "lib/core/error.h"

namespace ra::bench {
namespace {

// Token p of the text is p; those of needle i are -1 - i.
std::vector<std::int32_t> text(int n) {
  std::vector<std::int32_t> ids(static_cast<std::size_t>(n));
  std::iota(ids.begin(), ids.end(), 0);
  return ids;
}
std::vector<Hidden> needles(const std::vector<double>& depths, std::size_t tokens) {
  std::vector<Hidden> out;
  for (std::size_t i = 0; i < depths.size(); ++i)
    out.push_back({depths[i], std::vector<std::int32_t>(tokens, -1 - static_cast<int>(i))});
  return out;
}
bool every_tenth(std::int64_t p) { return p % 10 == 0; }
bool never(std::int64_t) { return false; }

// The ids outside the needles are those of the text, and each needle stands whole where it is said.
void expect_well_formed(const Haystack& h, const std::vector<Hidden>& hidden, std::int64_t length) {
  ASSERT_EQ(std::ssize(h.ids), length);
  ASSERT_EQ(h.positions.size(), hidden.size());
  std::vector<std::int32_t> rest;
  std::ranges::copy_if(h.ids, std::back_inserter(rest), [](std::int32_t id) { return id >= 0; });
  EXPECT_EQ(rest, text(static_cast<int>(h.text_used)));
  for (std::size_t i = 0; i < hidden.size(); ++i) {
    const auto n = std::ssize(hidden[i].ids);
    ASSERT_LE(h.positions[i] + n, length);
    EXPECT_TRUE(
        std::equal(hidden[i].ids.begin(), hidden[i].ids.end(), h.ids.begin() + h.positions[i]))
        << i;
  }
}

TEST(Haystack, HidesAtBreaksNearTheDepths) {
  const auto hidden = needles({0.9, 0.1, 0.5}, 7);
  const Haystack h = hide(text(2000), 1000, hidden, every_tenth);
  expect_well_formed(h, hidden, 1000);
  EXPECT_EQ(h.text_used, 1000 - 3 * 7);
  for (std::size_t i = 0; i < hidden.size(); ++i) {
    EXPECT_LE(std::abs(static_cast<double>(h.positions[i]) - 1000 * hidden[i].depth), 10) << i;
    const auto before = h.ids[static_cast<std::size_t>(h.positions[i]) - 1];
    EXPECT_EQ((before + 1) % 10, 0) << i;
  }
}

TEST(Haystack, NeedlesOfOneDepthKeepTextBetweenThem) {
  const auto hidden = needles({0.5, 0.5, 0.5}, 7);
  const Haystack h = hide(text(1000), 1000, hidden, every_tenth);
  expect_well_formed(h, hidden, 1000);
  EXPECT_EQ(h.positions[1], h.positions[0] + 7 + 10);
  EXPECT_EQ(h.positions[2], h.positions[1] + 7 + 10);
}

TEST(Haystack, ReachesBothEnds) {
  const auto hidden = needles({0, 1}, 5);
  const Haystack h = hide(text(100), 100, hidden, never);
  expect_well_formed(h, hidden, 100);
  EXPECT_EQ(h.positions, (std::vector<std::int64_t>{0, 95}));
}

TEST(Haystack, TextWithoutBreaksIsCutAtTheDepth) {
  const auto hidden = needles({0.25, 0.25, 0.75}, 5);
  const Haystack h = hide(text(100), 100, hidden, never);
  expect_well_formed(h, hidden, 100);
  EXPECT_EQ(h.positions, (std::vector<std::int64_t>{25, 30, 75}));
}

TEST(Haystack, ManyNeedlesNeverStandInOneAnother) {
  std::vector<double> depths;
  for (int i = 0; i < 60; ++i) depths.push_back(0.01 * ((i * 37) % 101));
  const auto hidden = needles(depths, 8);
  expect_well_formed(hide(text(1000), 1000, hidden, every_tenth), hidden, 1000);
}

TEST(Haystack, RefusesMoreNeedlesThanText) {
  const auto hidden = needles({0.1, 0.9}, 26);
  try {
    hide(text(100), 100, hidden, never);
    ADD_FAILURE() << "accepted";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Exit::kUsage);
    EXPECT_NE(std::string(e.what()).find("52 tokens to hide in 100"), std::string::npos);
  }
  EXPECT_NO_THROW(hide(text(104), 104, hidden, never));
}

}  // namespace
}  // namespace ra::bench
