// SPDX-License-Identifier: Apache-2.0
#include "lib/bench/compare_report.h"

#include <gtest/gtest.h>

#include <cmath>

#include "lib/core/json.h"

namespace ra::bench {
namespace {

CompareReport some() {
  CompareReport r;
  r.rows.push_back({.name = "a", .metric = "work_distances", .base = 10, .fresh = 10});
  r.rows.push_back({.name = "a",
                    .metric = "call_us",
                    .base = 2,
                    .fresh = 2,
                    .low = -0.01,
                    .high = 0.01,
                    .threshold = 0.03,
                    .pairs = 12,
                    .timed = true});
  r.rows.push_back({.name = "b",
                    .metric = "recall_id",
                    .base = 0.9,
                    .fresh = 0.8,
                    .change = -1.0 / 9,
                    .verdict = Verdict::kRegression});
  r.rows.push_back({.name = "c",
                    .metric = "-",
                    .base = NAN,
                    .fresh = NAN,
                    .change = NAN,
                    .verdict = Verdict::kInconclusive,
                    .note = "only in new"});
  r.warnings = {"w"};
  r.verdict = Verdict::kRegression;
  return r;
}

TEST(CompareReport, MarkdownBeginsWithTheAnswerAndTheWorst) {
  const std::string md = render(some(), "md", false);
  EXPECT_TRUE(md.starts_with(
      "regression: 0 of 1 times slower, 1 of 3 deterministic numbers worse, 1 unclear\n"))
      << md;
  EXPECT_LT(md.find("recall_id"), md.find("only in new"));
  EXPECT_LT(md.find("only in new"), md.find("call_us"));
  EXPECT_EQ(md.find("work_distances"), std::string::npos);
  EXPECT_NE(md.find("1 deterministic numbers within tolerance"), std::string::npos);
  EXPECT_NE(render(some(), "md", true).find("work_distances"), std::string::npos);
}

TEST(CompareReport, CsvIsTheTableAlone) {
  EXPECT_TRUE(render(some(), "csv", false).starts_with("measurement,metric,"));
  EXPECT_EQ(render(some(), "none", true), "");
}

TEST(CompareReport, JsonHoldsEveryRowAndNoNan) {
  const Json j = Json::parse(render(some(), "json", false));
  EXPECT_EQ(j.at("verdict"), "regression");
  ASSERT_EQ(j.at("rows").size(), 4u);
  EXPECT_EQ(j["rows"][0]["evidence"], "deterministic");
  EXPECT_FALSE(j["rows"][0].contains("interval"));
  EXPECT_EQ(j["rows"][1]["evidence"], "time");
  EXPECT_EQ(j["rows"][1]["pairs"], 12);
  EXPECT_EQ(j["rows"][1]["interval"], Json::parse("[-0.01, 0.01]"));
  EXPECT_TRUE(j["rows"][3]["base"].is_null());
  EXPECT_EQ(j["warnings"], Json::parse(R"(["w"])"));
}

}  // namespace
}  // namespace ra::bench
