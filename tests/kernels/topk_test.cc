// SPDX-License-Identifier: Apache-2.0
#include "kernels/topk.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "tests/support/levels.h"
#include "tests/support/random.h"

namespace ra::kernels {
namespace {

using testing::random_floats;

class TopkTest : public testing::LevelTest {};
RA_INSTANTIATE_LEVELS(TopkTest);

struct Best {
  std::vector<std::uint32_t> ids;
  std::vector<float> scores;
};

Best sorted_best(const std::vector<float>& scores, const std::vector<std::uint32_t>& ids,
                 std::size_t k) {
  std::vector<std::size_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0u);
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return scores[a] > scores[b] || (scores[a] == scores[b] && ids[a] < ids[b]);
  });
  Best best;
  for (std::size_t i = 0; i < std::min(k, order.size()); ++i) {
    best.ids.push_back(ids[order[i]]);
    best.scores.push_back(scores[order[i]]);
  }
  return best;
}

Best run(const OpTable& table, const std::vector<float>& scores, const std::uint32_t* ids,
         std::size_t k) {
  Best best{std::vector<std::uint32_t>(k + 1, 77u), std::vector<float>(k + 1, 7.0f)};
  const std::size_t count =
      table.topk({scores.data(), ids, scores.size(), k, best.ids.data(), best.scores.data()});
  EXPECT_EQ(count, std::min(k, scores.size()));
  EXPECT_EQ(best.ids[count], 77u) << "wrote past the end";
  EXPECT_EQ(best.scores[count], 7.0f) << "wrote past the end";
  best.ids.resize(count);
  best.scores.resize(count);
  return best;
}

std::vector<std::uint32_t> identity(std::size_t n) {
  std::vector<std::uint32_t> ids(n);
  std::iota(ids.begin(), ids.end(), 0u);
  return ids;
}

void check(const OpTable& table, const std::vector<float>& scores, std::size_t k) {
  const std::size_t n = scores.size();
  const Best want = sorted_best(scores, identity(n), k);
  const Best got = run(table, scores, nullptr, k);
  ASSERT_EQ(got.ids, want.ids) << "n=" << n << " k=" << k;
  ASSERT_EQ(got.scores, want.scores) << "n=" << n << " k=" << k;

  std::vector<std::uint32_t> ids;  // any order, any gaps
  for (std::uint32_t i = 0; i < n; ++i) ids.push_back((i * 2654435761u) >> 3);
  const Best want_ids = sorted_best(scores, ids, k);
  ASSERT_EQ(run(table, scores, ids.data(), k).ids, want_ids.ids) << "n=" << n << " k=" << k;
}

TEST_P(TopkTest, MatchesAFullSortAtEveryLength) {
  for (std::size_t n = 0; n <= 130; ++n)
    for (const std::size_t k : {std::size_t{0}, std::size_t{1}, std::size_t{7}, n / 2, n, n + 3})
      check(table(), random_floats(n, n), k);
}

TEST_P(TopkTest, TiesGoToTheSmallerId) {
  for (std::size_t n = 1; n <= 100; ++n) {
    auto scores = random_floats(n, n);
    for (float& s : scores) s = std::round(s);  // a handful of values
    check(table(), scores, n / 3 + 1);
    check(table(), std::vector<float>(n, 1.5f), n / 3 + 1);
  }
}

TEST_P(TopkTest, SortedInputsAndInfinities) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  auto scores = random_floats(2000, 5);
  std::sort(scores.begin(), scores.end());
  check(table(), scores, 100);  // every score enters the heap
  std::reverse(scores.begin(), scores.end());
  check(table(), scores, 100);
  for (std::size_t i = 0; i < 2000; i += 7) scores[i] = i % 2 == 0 ? kInf : -kInf;
  check(table(), scores, 300);
  check(table(), std::vector<float>(50, -kInf), 20);
}

TEST_P(TopkTest, NanRanksLast) {
  auto scores = random_floats(200, 3);
  for (std::size_t i = 0; i < 200; i += 3) scores[i] = std::nanf("");
  auto replaced = scores;
  for (float& s : replaced)
    if (std::isnan(s)) s = -std::numeric_limits<float>::infinity();
  for (const std::size_t k : {5u, 133u, 150u, 200u}) {
    const Best want = sorted_best(replaced, identity(200), k);
    const Best got = run(table(), scores, nullptr, k);
    EXPECT_EQ(got.ids, want.ids) << k;
    EXPECT_EQ(got.scores, want.scores) << k;
  }
}

}  // namespace
}  // namespace ra::kernels
