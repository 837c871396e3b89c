// SPDX-License-Identifier: Apache-2.0
#include "lib/bench/measurement.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "lib/bench/results.h"
#include "lib/core/error.h"
#include "tests/support/temp_folder.h"

namespace ra::bench {
namespace {

class MeasurementTest : public ::testing::Test {
 protected:
  std::filesystem::path file(const std::string& text) {
    const auto path = folder_.path() / "in.json";
    std::ofstream(path) << text;
    return path;
  }
  Exit code_of(const std::string& text) {
    try {
      read_measurements(file(text));
    } catch (const Error& e) {
      return e.code();
    }
    return Exit::kOk;
  }
  testing::TempFolder folder_;
};

TEST_F(MeasurementTest, ReadsItsOwnRecords) {
  const auto path = folder_.path() / "r.jsonl";
  {
    ResultWriter out(path, {.tool = "ra-bench", .pair = 4});
    Result r{.kind = "decode"};
    r.config = {{"mode", "full"}, {"context", 4096}};
    r.metrics = {{"decode_ms", 2.0}, {"work_distances", 7.0}};
    r.samples["decode_ms"] = {{1.0, 2.0}, {3.0}};
    out.write(r);
  }
  const auto all = read_measurements(path);
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].time_name, "decode_ms");
  EXPECT_EQ(all[0].times.at(4), (std::vector<double>{1, 2, 3}));
  EXPECT_EQ(all[0].values.at("work_distances"), 7.0);
  EXPECT_FALSE(all[0].values.contains("decode_ms"));
  EXPECT_TRUE(all[0].machine.contains("cpu"));
}

TEST_F(MeasurementTest, ReadsGoogleBenchmarkJson) {
  const auto all =
      read_measurements(file(R"({"context": {"num_cpus": 2, "host_name": "h"}, "benchmarks": [
    {"name": "dot/64", "run_name": "dot/64", "run_type": "iteration", "real_time": 5.0, "time_unit": "ns", "work_bytes": 3},
    {"name": "dot/64", "run_name": "dot/64", "run_type": "iteration", "real_time": 6.0, "time_unit": "ns", "work_bytes": 3},
    {"name": "dot/64_mean", "run_name": "dot/64", "run_type": "aggregate", "real_time": 5.5, "time_unit": "ns"}]})"));
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].name, "dot/64");
  EXPECT_EQ(all[0].times.at(-1), (std::vector<double>{5, 6}));
  EXPECT_EQ(all[0].values.at("work_bytes"), 3);
}

TEST_F(MeasurementTest, OutputsOfGoogleBenchmarkInARowArePairs) {
  const std::string run = R"({"context": {}, "benchmarks": [{"name": "a", "real_time": 5.0}]})";
  EXPECT_EQ(read_measurements(file(run + "\n" + run))[0].times.size(), 2u);
  const std::string third =
      R"({"context": {"pair": "3"}, "benchmarks": [{"name": "a", "real_time": 6.0}]})";
  EXPECT_EQ(read_measurements(file(third))[0].times.at(3), std::vector<double>{6});
  EXPECT_EQ(code_of(run + run.substr(0, 50)), Exit::kBadData);
  EXPECT_EQ(code_of(run + "{}"), Exit::kBadData);
}

TEST_F(MeasurementTest, NamesTellMeasurementsApart) {
  const auto line = [](const std::string& config) {
    return R"({"schema_version": 1, "tool": "t", "kind": "decode", "provenance": {}, "metrics": {}, "config": )" +
           config + "}\n";
  };
  const auto all = read_measurements(file(line(R"({"mode": "full", "sink": 4})") +
                                          line(R"({"mode": "full", "sink": 4, "batch": 8})") +
                                          line(R"({"mode": "knn", "sink": 4, "batch": 8})")));
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0].name, "decode full");
  EXPECT_EQ(all[1].name, "decode full batch=8");
  EXPECT_EQ(all[2].name, "decode knn");
}

TEST_F(MeasurementTest, NumbersThatDoNotRepeatAndOtherMachinesShow) {
  const auto line = [](int work, const std::string& cpu) {
    return R"({"schema_version": 1, "tool": "t", "kind": "call", "config": {"case": "c"}, "provenance": {"cpu": ")" +
           cpu + R"("}, "metrics": {"work_distances": )" + std::to_string(work) + "}}\n";
  };
  const auto same = read_measurements(file(line(5, "x") + line(5, "x")));
  EXPECT_TRUE(same[0].unsteady.empty());
  EXPECT_EQ(same[0].machine.at("cpu"), "x");
  const auto other = read_measurements(file(line(5, "x") + line(6, "y")));
  EXPECT_TRUE(other[0].unsteady.contains("work_distances"));
  EXPECT_NE(other[0].machine.at("cpu"), "x");
}

TEST_F(MeasurementTest, RefusesWhatItCannotRead) {
  EXPECT_EQ(code_of(""), Exit::kBadData);
  EXPECT_EQ(code_of("not json"), Exit::kBadData);
  EXPECT_EQ(code_of(R"({"schema_version": 99, "kind": "decode"})"), Exit::kBadData);
  EXPECT_EQ(code_of(R"({"benchmarks": []})"), Exit::kBadData);
  EXPECT_EQ(code_of(R"({"benchmarks": [{"name": 3}]})"), Exit::kBadData);
  // Not a file: a FIFO would wait for ever, a folder would read as an empty file.
  ASSERT_EQ(::mkfifo((folder_.path() / "fifo").c_str(), 0600), 0);
  for (const auto& path : {folder_.path() / "absent", folder_.path() / "fifo", folder_.path()})
    try {
      read_measurements(path);
      ADD_FAILURE() << path;
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), Exit::kNoInput) << e.what();
    }
}

}  // namespace
}  // namespace ra::bench
