// SPDX-License-Identifier: Apache-2.0
#include "lib/bench/results.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <sstream>

#include "lib/core/error.h"

namespace ra::bench {
namespace {

namespace fs = std::filesystem;

class Results : public testing::Test {
 protected:
  void SetUp() override {
    dir_ =
        fs::temp_directory_path() / ("ra_results_" + std::to_string(getpid()) + "_" +
                                     testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(dir_);
    fs::create_directories(dir_);
    file_ = dir_ / "out.jsonl";
  }
  void TearDown() override { fs::remove_all(dir_); }
  static std::string slurp(const fs::path& p) {
    std::ostringstream out;
    out << std::ifstream(p, std::ios::binary).rdbuf();
    return out.str();
  }
  static Result sample() {
    Result r;
    r.kind = "recall";
    r.config["layer"] = 7;
    r.metrics["recall_id"] = 0.5;
    r.samples["query_us"] = {{3, 1, 2}, {4}};
    r.ci95["recall_id"] = {0.4, 0.6};
    return r;
  }
  static void expect_error(Exit code, const std::string& text, const std::function<void()>& f) {
    try {
      f();
      FAIL() << "no error; expected " << text;
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), code) << e.what();
      EXPECT_NE(std::string(e.what()).find(text), std::string::npos) << e.what();
    }
  }
  fs::path dir_, file_;
};

TEST_F(Results, RecordHasTheDocumentedFields) {
  Result result = sample();
  result.extra["given_neighbors_agree"] = false;
  const Json r = to_record(result, {.tool = "ra-recall", .pair = 3, .bandwidth_gb_s = 12.5});
  std::vector<std::string> names;
  for (const auto& [key, value] : r.items()) names.push_back(key);
  EXPECT_EQ(names, (std::vector<std::string>{
                       "schema_version", "tool", "tool_version", "kind", "time_utc", "run_id",
                       "pair", "status", "status_detail", "provenance", "config", "metrics",
                       "samples", "percentiles", "ci95", "given_neighbors_agree"}));
  EXPECT_EQ(r["schema_version"], 1);
  EXPECT_EQ(r["pair"], 3);
  EXPECT_EQ(r["status"], "ok");
  EXPECT_TRUE(r["status_detail"].is_null());
  EXPECT_EQ(r["provenance"]["bandwidth_gb_s"], 12.5);
  EXPECT_TRUE(r["provenance"].contains("isa"));
  EXPECT_EQ(r["samples"]["query_us"], Json::parse("[[3.0,1.0,2.0],[4.0]]"));
  EXPECT_EQ(r["percentiles"]["query_us"]["n"], 4);
  EXPECT_EQ(r["percentiles"]["query_us"]["p50"], 2.5);
  EXPECT_EQ(r["ci95"]["recall_id"], Json::parse("[0.4,0.6]"));
}

TEST_F(Results, PercentilesAreNumpys) {
  const Json p = percentiles({3.1, -2.0, 7.5, 0.25, 7.5, 11.0, 4.0});
  EXPECT_EQ(p["n"], 7);
  EXPECT_NEAR(p["p05"].get<double>(), -1.325, 1e-12);
  EXPECT_NEAR(p["p99"].get<double>(), 10.79, 1e-12);
  EXPECT_EQ(p["max"], 11.0);
}

TEST_F(Results, NonFiniteNumbersBecomeNullWithAReason) {
  Result result = sample();
  result.metrics["auc"] = std::numeric_limits<double>::quiet_NaN();
  result.metrics["ratio"] = std::numeric_limits<double>::infinity();
  result.samples["bad"] = {{std::nan("")}};
  const Json r = to_record(result, {.tool = "t"});
  EXPECT_TRUE(r["metrics"]["auc"].is_null());
  EXPECT_TRUE(r["metrics"]["ratio"].is_null());
  EXPECT_TRUE(r["samples"]["bad"][0][0].is_null());
  EXPECT_FALSE(r["percentiles"].contains("bad"));
  EXPECT_EQ(r["status_detail"], "not finite: auc, ratio, bad");
  result.status_detail = "no held-out keys";
  EXPECT_EQ(to_record(result, {.tool = "t"})["status_detail"], "no held-out keys");
}

TEST_F(Results, AppendsLinesThatReadBack) {
  for (int run = 0; run < 2; ++run) {
    ResultWriter writer(file_, {.tool = "t"});
    writer.write(sample());
    writer.write(sample());
    EXPECT_EQ(writer.records().size(), 2u);
  }
  const auto records = read_records(file_);
  ASSERT_EQ(records.size(), 4u);
  EXPECT_EQ(records[3]["config"]["layer"], 7);
  EXPECT_EQ(records[0]["run_id"], records[1]["run_id"]);
}

TEST_F(Results, CutsATornLineBeforeAppending) {
  ResultWriter(file_, {.tool = "t"}).write(sample());
  const std::string whole = slurp(file_);
  std::ofstream(file_, std::ios::app) << whole.substr(0, whole.size() / 2);
  expect_error(Exit::kBadData, "line 2", [&] { read_records(file_); });
  ResultWriter(file_, {.tool = "t"}).write(sample());
  EXPECT_EQ(read_records(file_).size(), 2u);
  EXPECT_EQ(slurp(file_).substr(0, whole.size()), whole);
}

TEST_F(Results, FinishedRecordsLeaveATornLineAndSamplesOut) {
  EXPECT_TRUE(read_finished_records(file_).empty());
  ResultWriter(file_, {.tool = "t"}).write(sample());
  const std::string whole = slurp(file_);
  std::ofstream(file_, std::ios::app) << whole.substr(0, whole.size() / 2);
  const auto records = read_finished_records(file_);
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0]["config"]["layer"], 7);
  EXPECT_FALSE(records[0].contains("samples"));
  std::ofstream(file_, std::ios::trunc) << "{\n" << whole;
  expect_error(Exit::kBadData, "line 1: not JSON", [&] { read_finished_records(file_); });
}

TEST_F(Results, SamplesMayBeLeftOutOfTheLines) {
  ResultWriter writer(file_, {.tool = "t", .samples = false});
  writer.write(sample());
  writer.remember(Json{{"kind", "recall"}});
  ASSERT_EQ(writer.records().size(), 2u);
  EXPECT_FALSE(writer.records()[0].contains("samples")) << "tables do not need them";
  const Json line = read_records(file_).front();
  EXPECT_TRUE(line["samples"].empty());
  EXPECT_FALSE(line["percentiles"].empty());
}

TEST_F(Results, NeverCutsAFileThatHoldsSomethingElse) {
  for (const std::string text :
       {"dear diary, no newline here", "{\"other\": \"json\"}", "{\"schema_version\" "}) {
    std::ofstream(file_, std::ios::trunc) << text;
    expect_error(Exit::kCannotCreate, "does not hold result records",
                 [&] { ResultWriter(file_, {.tool = "t"}); });
    EXPECT_EQ(slurp(file_), text);
  }
  std::ofstream(file_, std::ios::trunc) << "{\"schema_ver";  // torn in the very first record
  ResultWriter(file_, {.tool = "t"}).write(sample());
  EXPECT_EQ(read_records(file_).size(), 1u);
}

TEST_F(Results, AnUnusablePathFailsBeforeAnyRecord) {
  expect_error(Exit::kCannotCreate, "none",
               [&] { ResultWriter(dir_ / "none" / "x.jsonl", {.tool = "t"}); });
  expect_error(Exit::kCannotCreate, dir_.string(), [&] { ResultWriter(dir_, {.tool = "t"}); });
  if (geteuid() != 0) {
    fs::permissions(dir_, fs::perms::owner_read | fs::perms::owner_exec);
    expect_error(Exit::kPermission, "out.jsonl", [&] { ResultWriter(file_, {.tool = "t"}); });
    fs::permissions(dir_, fs::perms::owner_all);
  }
}

TEST_F(Results, ARunWithoutRecordsLeavesNothing) {
  { const ResultWriter writer(file_, {.tool = "t"}); }
  EXPECT_FALSE(fs::exists(file_));
}

TEST_F(Results, ALinkIsRefusedBeforeTheRunNotAfterIt) {
  for (const bool dangling : {true, false}) {
    if (!dangling) std::ofstream(dir_ / "real.jsonl") << "";
    fs::remove(file_);
    fs::create_symlink(dir_ / "real.jsonl", file_);
    expect_error(Exit::kCannotCreate, "link", [&] { ResultWriter(file_, {.tool = "t"}); });
  }
}

TEST_F(Results, AFullDeviceIsAnIoError) {
  if (!fs::exists("/dev/full")) GTEST_SKIP() << "no /dev/full here";
  ResultWriter writer("/dev/full", {.tool = "t"});
  expect_error(Exit::kIo, "/dev/full", [&] { writer.write(sample()); });
}

TEST_F(Results, EmptyPathKeepsRecordsOnly) {
  ResultWriter writer("", {.tool = "t"});
  writer.write(sample());
  EXPECT_EQ(writer.records().size(), 1u);
}

TEST_F(Results, ReaderNamesTheLine) {
  ResultWriter(file_, {.tool = "t"}).write(sample());
  const std::string good = slurp(file_);
  const auto with = [&](const std::string& text) { std::ofstream(file_, std::ios::trunc) << text; };
  with(good + "{oops\n" + good);
  expect_error(Exit::kBadData, "line 2: not JSON", [&] { read_records(file_); });
  with(good + good + "{\"schema_version\":2}\n");
  expect_error(Exit::kBadData, "line 3: schema_version 2, this program reads 1",
               [&] { read_records(file_); });
  with(good + "[1]\n");
  expect_error(Exit::kBadData, "line 2: not a result record", [&] { read_records(file_); });
  with("");
  expect_error(Exit::kBadData, "empty", [&] { read_records(file_); });
  expect_error(Exit::kNoInput, "absent", [&] { read_records(dir_ / "absent.jsonl"); });
}

TEST_F(Results, InvalidUtf8InAPathDoesNotStopTheRun) {
  Result result = sample();
  result.config["file"] = "bad\xff name";
  ResultWriter(file_, {.tool = "t"}).write(result);
  EXPECT_EQ(read_records(file_)[0]["config"]["file"], "bad\xef\xbf\xbd name");
}

}  // namespace
}  // namespace ra::bench
