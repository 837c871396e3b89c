// SPDX-License-Identifier: Apache-2.0
#include "lib/bench/export.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "lib/core/error.h"
#include "lib/core/json.h"
#include "tests/support/temp_folder.h"

namespace ra::bench {
namespace {

std::vector<Measurement> two() {
  return {{.name = "decode full context=64",
           .key = "a",
           .machine = {{"cpu", "x"}, {"isa", "avx2"}, {"threads", "2"}},
           .time_name = "decode_ms",
           .times = {{0, {3, 1, 2}}, {1, {4, 5}}},
           .values = {{"work_distances", 1000}, {"recall_id", 0.5}, {"degree_mean", 3}}},
          {.name = "build", .key = "b", .values = {{"index_bytes", NAN}}}};
}

TEST(Export, GoogleBenchmarkHasARepetitionForEachSample) {
  const Json j = Json::parse(export_as("googlebench", two())), &all = j.at("benchmarks");
  ASSERT_EQ(all.size(), 5u + 4u);  // nothing of "build", which has no times
  const std::vector<double> samples{3, 1, 2, 4, 5};
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const Json& b = all.at(i);
    EXPECT_EQ(b.at("name"), "decode full context=64");
    EXPECT_EQ(b.at("run_name"), "decode full context=64");
    EXPECT_EQ(b.at("run_type"), "iteration");
    EXPECT_EQ(b.at("repetitions"), 5);
    EXPECT_EQ(b.at("repetition_index"), i);
    EXPECT_EQ(b.at("real_time"), samples[i]);
    EXPECT_EQ(b.at("cpu_time"), samples[i]);
    EXPECT_EQ(b.at("time_unit"), "ms");
    EXPECT_EQ(b.at("work_distances"), 1000.0);
    EXPECT_FALSE(b.contains("aggregate_name"));
  }
}

TEST(Export, GoogleBenchmarkHasAggregatesOfSeveralSamplesOnly) {
  const Json j = Json::parse(export_as("googlebench", two())), &all = j.at("benchmarks");
  const std::vector<std::pair<std::string, double>> expected{
      {"mean", 3.0}, {"median", 3.0}, {"stddev", std::sqrt(2.5)}, {"cv", std::sqrt(2.5) / 3}};
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const Json& b = all.at(5 + i);
    EXPECT_EQ(b.at("name"), "decode full context=64_" + expected[i].first);
    EXPECT_EQ(b.at("aggregate_name"), expected[i].first);
    EXPECT_EQ(b.at("run_type"), "aggregate");
    EXPECT_DOUBLE_EQ(b.at("real_time").get<double>(), expected[i].second);
    EXPECT_FALSE(b.contains("repetition_index"));
  }
  std::vector<Measurement> one = two();
  one[0].times = {{0, {3}}};
  EXPECT_EQ(Json::parse(export_as("googlebench", one)).at("benchmarks").size(), 1u);
}

TEST(Export, GoogleBenchmarkNeedsATime) {
  try {
    export_as("googlebench", {two()[1]});
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Exit::kBadData);
  }
}

TEST(Export, GoogleBenchmarkIsReadBack) {
  const testing::TempFolder dir;
  const auto path = dir.path() / "b.json";
  std::ofstream(path) << export_as("googlebench", two());
  const auto back = read_measurements(path);
  ASSERT_EQ(back.size(), 1u);
  EXPECT_EQ(back[0].name, two()[0].name);
  EXPECT_EQ(back[0].times.at(-1), (std::vector<double>{3, 1, 2, 4, 5}));
  EXPECT_EQ(back[0].values.at("work_distances"), 1000);
  const Json again = Json::parse(export_as("googlebench", back));
  EXPECT_EQ(again.at("context"), Json::parse(export_as("googlebench", two())).at("context"));
}

TEST(Export, SmallerIsBetterLeavesOutWhatIsNot) {
  const Json j = Json::parse(export_as("smaller-is-better", two()));
  ASSERT_EQ(j.size(), 2u);
  EXPECT_EQ(j[0].at("name"), "decode full context=64 decode_ms");
  EXPECT_EQ(j[0].at("value"), 3.0);
  EXPECT_EQ(j[0].at("range"), "2 to 4");
  EXPECT_EQ(j[1].at("name"), "decode full context=64 work_distances");
  EXPECT_EQ(j[1].at("unit"), "count");
}

TEST(Export, RecordsAreABaselineThatIsReadBack) {
  const testing::TempFolder dir;
  std::vector<Measurement> all = two();
  all[0].tool = "ra-bench";
  all[0].kind = "decode";
  all[0].config = {{"mode", "full"}};
  const std::string text = export_as("records", all);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);  // the other has nothing to judge
  EXPECT_EQ(text.find("decode_ms"), std::string::npos);
  EXPECT_EQ(text.find("degree_mean"), std::string::npos);
  std::ofstream(dir.path() / "b.jsonl") << text;
  const auto back = read_measurements(dir.path() / "b.jsonl");
  ASSERT_EQ(back.size(), 1u);
  EXPECT_EQ(back[0].values.at("work_distances"), 1000);
  EXPECT_EQ(back[0].machine.at("isa"), "avx2");
  EXPECT_EQ(back[0].key, R"(ra-bench decode {"mode":"full"})");
}

TEST(Export, TablesHaveARowANumber) {
  const std::string csv = export_as("csv", two());
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 1 + 1 + 3 + 1);
  EXPECT_NE(export_as("md", two()).find("| recall_id"), std::string::npos);
}

}  // namespace
}  // namespace ra::bench
