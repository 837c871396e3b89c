// SPDX-License-Identifier: Apache-2.0
#include "kernels/runs.h"

#include <limits>
#include <vector>

#include "tests/support/levels.h"
#include "tests/support/random.h"

namespace ra::kernels {
namespace {

class RunsTest : public testing::LevelTest {};
RA_INSTANTIATE_LEVELS(RunsTest);

// Runs of 0 to 40 rows, out of order and overlapping.
std::vector<kernels::Run> some_runs() {
  std::vector<kernels::Run> runs;
  for (std::uint32_t rows = 0; rows <= 40; ++rows)
    runs.push_back({rows * 37 % 53, rows, 0.25f * static_cast<float>(rows % 7) - 0.5f,
                    rows % 3 == 0 ? 0.5f : -1.25f});
  return runs;
}

TEST_P(RunsTest, ScoresAreBaseAndUnit) {
  const auto scores = testing::random_floats(100, 1);
  const auto runs = some_runs();
  std::vector<float> out(820 + 1, 7.0f);
  table().run_scores(scores.data(), runs.data(), runs.size(), out.data());
  std::size_t p = 0;
  for (const kernels::Run& run : runs)
    for (std::uint32_t i = 0; i < run.rows; ++i, ++p) {
      const float product = run.unit * scores[run.at + i];
      ASSERT_EQ(out[p], run.base + product) << p;
    }
  ASSERT_EQ(p, 820u);
  EXPECT_EQ(out[820], 7.0f) << "wrote past the end";
}

TEST_P(RunsTest, RowsAtLeastAFloorAreThoseOfTheirScores) {
  auto scores = testing::random_floats(100, 2);
  scores[17] = std::numeric_limits<float>::quiet_NaN();
  scores[40] = std::numeric_limits<float>::infinity();
  const auto runs = some_runs();
  std::vector<float> all(820);
  table().run_scores(scores.data(), runs.data(), runs.size(), all.data());
  for (const float floor :
       {-std::numeric_limits<float>::infinity(), -0.5f, all[100], 0.75f, 1e9f}) {
    std::vector<std::uint32_t> want, got(820);
    for (std::uint32_t p = 0; p < 820; ++p)
      if (all[p] >= floor) want.push_back(p);
    got.resize(table().runs_at_least(scores.data(), runs.data(), runs.size(), floor, got.data()));
    EXPECT_EQ(got, want) << floor;
  }
  EXPECT_EQ(table().runs_at_least(scores.data(), nullptr, 0, 0, nullptr), 0u);
}

}  // namespace
}  // namespace ra::kernels
