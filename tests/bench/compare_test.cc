// SPDX-License-Identifier: Apache-2.0
#include "lib/bench/compare.h"

#include <gtest/gtest.h>

#include <cmath>

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
  const auto report = compare({measured("a", 10, 1, 20)}, {measured("a", 10, 2, 20)}, {}, {});
  EXPECT_EQ(report.verdict, Verdict::kOk);
  ASSERT_EQ(report.rows.size(), 1u);
  EXPECT_EQ(report.rows[0].pairs, 20u);
}

TEST(Compare, SlowerByTenPercentIsARegression) {
  const auto report = compare({measured("a", 10, 1, 20)}, {measured("a", 11, 2, 20)}, {}, {});
  EXPECT_EQ(report.verdict, Verdict::kRegression);
  EXPECT_NEAR(report.rows[0].change, 0.10, 0.02);
}

TEST(Compare, FasterIsImprovedNotWrong) {
  const auto report = compare({measured("a", 10, 1, 20)}, {measured("a", 8, 2, 20)}, {}, {});
  EXPECT_EQ(report.verdict, Verdict::kOk);
  EXPECT_EQ(report.rows[0].verdict, Verdict::kImproved);
}

TEST(Compare, FewPairsAreInconclusiveNeverPassed) {
  const auto report = compare({measured("a", 10, 1, 2)}, {measured("a", 10, 2, 2)}, {}, {});
  EXPECT_EQ(report.verdict, Verdict::kInconclusive);
}

TEST(Compare, TimesWithoutPairsDecideOnlyIfAsked) {
  const auto report = compare({measured("a", 10, 1)}, {measured("a", 12, 2)}, {}, {});
  EXPECT_EQ(report.verdict, Verdict::kInconclusive);
  ASSERT_EQ(report.warnings.size(), 1u);
  EXPECT_NE(report.warnings[0].find("not paired"), std::string::npos);
  EXPECT_EQ(compare({measured("a", 10, 1)}, {measured("a", 12, 2)}, {}, {.unpaired = true}).verdict,
            Verdict::kRegression);
}

TEST(Compare, TwiceTheDifferenceOfTheBaseFromItselfIsTheThreshold) {
  const auto report = compare({measured("a", 10, 1, 20)}, {measured("a", 10.5, 2, 20)},
                              {measured("a", 10.4, 3, 20)}, {});
  EXPECT_EQ(report.verdict, Verdict::kOk);
  EXPECT_NEAR(report.rows[0].floor, 0.04, 0.01);
  EXPECT_DOUBLE_EQ(report.rows[0].threshold, 2 * report.rows[0].floor);
}

// Some processes run 2.3 times slower than their partner of the pair.
TEST(Compare, SeldomAlarmsOnEqualBuilds) {
  int alarms = 0, passed = 0;
  for (std::uint64_t run = 0; run < 60; ++run) {
    std::vector<Measurement> base, fresh, again;
    for (std::uint64_t c = 0; c < 2; ++c)
      for (auto* side : {&base, &fresh, &again}) {
        const auto id = run * 16 + c * 4 + (side == &base ? 0u : side == &fresh ? 1u : 2u);
        Measurement m = measured(std::string(1, static_cast<char>('a' + c)), 10, id, 12);
        Rng rng(id, 1);
        for (auto& [pair, times] : m.times) {
          const double luck = std::exp(0.01 * rng.normal()) * (rng.uniform() < 0.02 ? 2.3 : 1);
          for (double& t : times) t *= luck;
        }
        side->push_back(std::move(m));
      }
    const Verdict v = compare(base, fresh, again, {.alpha = 0.0025}).verdict;
    alarms += v == Verdict::kRegression;
    passed += v == Verdict::kOk;
  }
  EXPECT_EQ(alarms, 0);
  EXPECT_GE(passed, 30);
}

TEST(Compare, OneMoreDistanceIsARegressionWhateverTheTimes) {
  Measurement base{.name = "a", .key = "a", .values = {{"work_distances", 1000}}}, fresh = base;
  fresh.values["work_distances"] = 1001;
  EXPECT_EQ(compare({base}, {base}, {}, {}).verdict, Verdict::kOk);
  EXPECT_EQ(compare({base}, {fresh}, {}, {}).verdict, Verdict::kRegression);
  EXPECT_EQ(compare({fresh}, {base}, {}, {}).rows[0].verdict, Verdict::kImproved);
}

TEST(Compare, AnAcceptedBaselineHoldsForTheBetterToo) {
  Measurement base{.name = "a", .key = "a", .values = {{"work_distances", 1000}}}, fresh = base;
  fresh.values["work_distances"] = 999;
  EXPECT_EQ(compare({base}, {fresh}, {}, {.exact = true}).verdict, Verdict::kRegression);
  EXPECT_EQ(compare({base}, {base}, {}, {.exact = true}).verdict, Verdict::kOk);
}

TEST(Compare, ANumberThatDoesNotRepeatIsInconclusive) {
  Measurement base{.name = "a", .key = "a", .values = {{"work_distances", 1000}}}, fresh = base;
  fresh.unsteady = {"work_distances"};
  EXPECT_EQ(compare({base}, {fresh}, {}, {}).verdict, Verdict::kInconclusive);
}

TEST(Compare, CountersOnlyAskForTheSameLevel) {
  Measurement base = measured("a", 10, 1, 20), fresh = measured("a", 20, 2, 20);
  for (Measurement* m : {&base, &fresh}) m->values["work_distances"] = 5;
  base.machine = {{"cpu", "x"}, {"isa", "avx2"}};
  fresh.machine = {{"cpu", "y"}, {"isa", "avx2"}};
  EXPECT_EQ(compare({base}, {fresh}, {}, {.counters_only = true}).verdict, Verdict::kOk);
  fresh.machine["isa"] = "amx";
  EXPECT_EQ(compare({base}, {fresh}, {}, {.counters_only = true}).verdict, Verdict::kInconclusive);
}

TEST(Compare, NamesTheFieldOfTheConfigThatDiffers) {
  Measurement base = measured("a", 10, 1, 20), fresh = measured("b", 10, 2, 20);
  base.config = {{"model_sha256", "aa"}, {"mode", "full"}, {"k", 3}};
  fresh.config = {{"model_sha256", "bb"}, {"mode", "full"}, {"k", 3}};
  const auto report = compare({base}, {fresh}, {}, {});
  ASSERT_EQ(report.rows.size(), 1u);
  EXPECT_EQ(report.verdict, Verdict::kInconclusive);
  EXPECT_EQ(report.rows[0].note, "not compared, model_sha256: \"aa\" against \"bb\"");
}

TEST(Compare, NothingInCommonIsInconclusive) {
  EXPECT_EQ(
      compare({measured("a", 10, 1, 9)}, {measured("b", 10, 1, 9)}, {}, {.allow_missing = true})
          .verdict,
      Verdict::kInconclusive);
}

TEST(Compare, RecallMayNotFallBeyondItsTolerance) {
  Measurement base{.name = "a", .key = "a", .values = {{"recall_id", 0.95}}}, fresh = base;
  fresh.values["recall_id"] = 0.9495;
  EXPECT_EQ(compare({base}, {fresh}, {}, {}).verdict, Verdict::kOk);
  fresh.values["recall_id"] = 0.94;
  EXPECT_EQ(compare({base}, {fresh}, {}, {}).verdict, Verdict::kRegression);
}

TEST(Compare, AnotherMachineIsInconclusiveAndNamesTheField) {
  Measurement fresh = measured("a", 10, 2, 20);
  fresh.machine["cpu"] = "y";
  const auto report = compare({measured("a", 10, 1, 20)}, {fresh}, {}, {});
  EXPECT_EQ(report.verdict, Verdict::kInconclusive);
  EXPECT_NE(report.rows[0].note.find("cpu"), std::string::npos);
}

TEST(Compare, MissingMeasurementsAreInconclusiveUnlessAllowed) {
  const std::vector<Measurement> both{measured("a", 10, 1, 20), measured("b", 10, 3, 20)};
  const std::vector<Measurement> one{measured("a", 10, 2, 20)};
  EXPECT_EQ(compare(both, one, {}, {}).verdict, Verdict::kInconclusive);
  EXPECT_EQ(compare(one, both, {}, {}).verdict, Verdict::kInconclusive);
  EXPECT_EQ(compare(both, one, {}, {.allow_missing = true}).verdict, Verdict::kOk);
}

}  // namespace
}  // namespace ra::bench
