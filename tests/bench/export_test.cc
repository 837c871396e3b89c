// SPDX-License-Identifier: Apache-2.0
#include "lib/bench/export.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

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

TEST(Export, GoogleBenchmarkHasMedianAndCounters) {
  const Json j = Json::parse(export_as("googlebench", two()));
  const Json& b = j.at("benchmarks").at(0);
  EXPECT_EQ(b.at("run_type"), "iteration");
  EXPECT_EQ(b.at("real_time"), 3.0);
  EXPECT_EQ(b.at("time_unit"), "ms");
  EXPECT_EQ(b.at("iterations"), 5);
  EXPECT_EQ(b.at("work_distances"), 1000.0);
  EXPECT_FALSE(j.at("benchmarks").at(1).contains("index_bytes"));  // not a number in JSON
}

TEST(Export, GoogleBenchmarkIsReadBack) {
  const testing::TempFolder dir;
  std::ofstream(dir.path() / "b.json") << export_as("googlebench", two());
  const auto back = read_measurements(dir.path() / "b.json");
  ASSERT_EQ(back.size(), 2u);
  EXPECT_EQ(back[0].name, two()[0].name);
  EXPECT_EQ(back[0].times.at(-1), std::vector<double>{3});
  EXPECT_EQ(back[0].values.at("work_distances"), 1000);
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
