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

TEST_P(RunsTest, RowsAreThoseThatAnyQueryFindsGoodEnough) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  auto scores = testing::random_floats(3 * 110, 2);
  scores[17] = std::numeric_limits<float>::quiet_NaN();
  scores[110 + 40] = kInf;
  const auto runs = some_runs();
  for (const std::size_t group : {0u, 1u, 3u})
    for (const float level : {-kInf, -0.5f, 0.75f, 1e9f, kInf}) {
      auto floors = testing::random_floats(runs.size() * group, 3);
      for (float& floor : floors) floor = 0.1f * floor + level;
      std::vector<std::uint32_t> want, got(820);
      std::uint32_t row = 0;
      for (std::size_t r = 0; r < runs.size(); ++r)
        for (std::uint32_t i = 0; i < runs[r].rows; ++i, ++row) {
          bool any = false;
          for (std::size_t g = 0; g < group; ++g)
            any = any || scores[g * 110 + runs[r].at + i] >= floors[r * group + g];
          if (any) want.push_back(row);
        }
      got.resize(table().runs_at_least({.scores = scores.data(),
                                        .stride = 110,
                                        .group = group,
                                        .runs = runs.data(),
                                        .n = runs.size(),
                                        .floors = floors.data(),
                                        .out = got.data()}));
      EXPECT_EQ(got, want) << group << " queries, " << level;
    }
}

}  // namespace
}  // namespace ra::kernels
