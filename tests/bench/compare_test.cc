// SPDX-License-Identifier: Apache-2.0
#include "lib/bench/compare.h"

#include <gtest/gtest.h>

#include "lib/core/rng.h"

namespace ra::bench {
namespace {

Measurement measured(const std::string& key, double ms, std::uint64_t seed,
                     std::int64_t pairs = 0) {
  Measurement m{.name = key, .key = key, .machine = {{"cpu", "x"}}, .time_name = "decode_ms"};
  Rng rng(seed);
  for (std::int64_t p = pairs > 0 ? 0 : -1; p < std::max<std::int64_t>(pairs, 0); ++p)
    for (int i = 0; i < (pairs > 0 ? 5 : 60); ++i)
      m.times[p].push_back(ms * (1 + 0.01 * rng.normal()));
  if (pairs == 0 && m.times.empty())
    for (int i = 0; i < 60; ++i) m.times[-1].push_back(ms * (1 + 0.01 * rng.normal()));
  return m;
}

TEST(Compare, SameTimesPass) {
  const auto report = compare({measured("a", 10, 1, 20)}, {measured("a", 10, 2, 20)}, {});
  EXPECT_EQ(report.verdict, Verdict::kOk);
  ASSERT_EQ(report.rows.size(), 1u);
  EXPECT_EQ(report.rows[0].pairs, 20u);
}

TEST(Compare, SlowerByTenPercentIsARegression) {
  const auto report = compare({measured("a", 10, 1, 20)}, {measured("a", 11, 2, 20)}, {});
  EXPECT_EQ(report.verdict, Verdict::kRegression);
  EXPECT_NEAR(report.rows[0].change, 0.10, 0.02);
}

TEST(Compare, FasterIsImprovedNotWrong) {
  const auto report = compare({measured("a", 10, 1, 20)}, {measured("a", 8, 2, 20)}, {});
  EXPECT_EQ(report.verdict, Verdict::kOk);
  EXPECT_EQ(report.rows[0].verdict, Verdict::kImproved);
}

TEST(Compare, FewPairsAreInconclusiveNeverPassed) {
  const auto report = compare({measured("a", 10, 1, 2)}, {measured("a", 10, 2, 2)}, {});
  EXPECT_EQ(report.verdict, Verdict::kInconclusive);
}

TEST(Compare, UnpairedSamplesAreUsedAndSaidSo) {
  const auto report = compare({measured("a", 10, 1)}, {measured("a", 12, 2)}, {});
  EXPECT_EQ(report.verdict, Verdict::kRegression);
  ASSERT_EQ(report.warnings.size(), 1u);
  EXPECT_NE(report.warnings[0].find("not paired"), std::string::npos);
}

TEST(Compare, OneMoreDistanceIsARegressionWhateverTheTimes) {
  Measurement base{.name = "a", .key = "a", .values = {{"work_distances", 1000}}}, fresh = base;
  fresh.values["work_distances"] = 1001;
  EXPECT_EQ(compare({base}, {base}, {}).verdict, Verdict::kOk);
  EXPECT_EQ(compare({base}, {fresh}, {}).verdict, Verdict::kRegression);
  EXPECT_EQ(compare({fresh}, {base}, {}).rows[0].verdict, Verdict::kImproved);
}

TEST(Compare, RecallMayNotFallBeyondItsTolerance) {
  Measurement base{.name = "a", .key = "a", .values = {{"recall_id", 0.95}}}, fresh = base;
  fresh.values["recall_id"] = 0.9495;
  EXPECT_EQ(compare({base}, {fresh}, {}).verdict, Verdict::kOk);
  fresh.values["recall_id"] = 0.94;
  EXPECT_EQ(compare({base}, {fresh}, {}).verdict, Verdict::kRegression);
}

TEST(Compare, AnotherMachineIsInconclusiveAndNamesTheField) {
  Measurement fresh = measured("a", 10, 2, 20);
  fresh.machine["cpu"] = "y";
  const auto report = compare({measured("a", 10, 1, 20)}, {fresh}, {});
  EXPECT_EQ(report.verdict, Verdict::kInconclusive);
  EXPECT_NE(report.rows[0].note.find("cpu"), std::string::npos);
}

TEST(Compare, MissingMeasurementsAreInconclusiveUnlessAllowed) {
  const std::vector<Measurement> both{measured("a", 10, 1, 20), measured("b", 10, 3, 20)};
  const std::vector<Measurement> one{measured("a", 10, 2, 20)};
  EXPECT_EQ(compare(both, one, {}).verdict, Verdict::kInconclusive);
  EXPECT_EQ(compare(one, both, {}).verdict, Verdict::kInconclusive);
  EXPECT_EQ(compare(both, one, {.allow_missing = true}).verdict, Verdict::kOk);
}

}  // namespace
}  // namespace ra::bench
