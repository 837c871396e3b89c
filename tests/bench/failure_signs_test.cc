// SPDX-License-Identifier: Apache-2.0
#include "lib/bench/failure_signs.h"

#include <gtest/gtest.h>

#include <string_view>

namespace ra::bench {
namespace {

Json record(std::string_view mode, Json metrics, int context = 8192) {
  return {{"kind", "decode"},
          {"status", "ok"},
          {"status_detail", nullptr},
          {"config",
           {{"mode", mode},
            {"context", context},
            {"index", mode == "full" || mode == "streaming" ? Json(nullptr) : Json("any")}}},
          {"metrics", std::move(metrics)}};
}

Json good(double ms, double kl = 0.001) {
  return {{"decode_ms", ms},     {"kld_mean", kl},      {"same_top1_frac", 0.9},
          {"scanned_frac", 0.1}, {"search_ms", ms / 4}, {"index_bytes", 10},
          {"kv_bytes", 1000}};
}

TEST(FailureSigns, NoneWhereAModeIsFasterAndAsGood) {
  EXPECT_TRUE(failure_signs({}).empty());
  EXPECT_TRUE(failure_signs({record("full", good(20)), record("retrieval", good(10))}).empty());
  EXPECT_TRUE(failure_signs({record("full", good(20)), record("knn", good(20.9))}).empty());
  EXPECT_TRUE(failure_signs({record("retrieval", good(100))}).empty()) << "nothing to compare with";
  EXPECT_TRUE(
      failure_signs({record("full", good(20), 4096), record("knn", good(100), 8192)}).empty());
}

TEST(FailureSigns, AccuracyAndWhatIsToBlame) {
  const auto signs = failure_signs({record("full", good(20, 0)), record("streaming", good(5, 1.93)),
                                    record("knn", good(9, 0.004)), record("ivf", good(9, 0.3))});
  ASSERT_EQ(signs.size(), 2u);
  EXPECT_EQ(signs[0].record, 1u);
  EXPECT_EQ(signs[0].sign, Sign::kAccuracy);
  EXPECT_EQ(signs[0].words, "loses accuracy: KL 1.9 to full attention, same next token 90 %");
  EXPECT_EQ(signs[1].record, 3u);
  EXPECT_NE(signs[1].words.find("the exact top k does not (KL 0.004): its index misses keys"),
            std::string::npos);
  const auto both = failure_signs({record("knn", good(9, 0.2)), record("ivf", good(9, 0.3))});
  ASSERT_EQ(both.size(), 2u);
  EXPECT_EQ(both[0].words.find("exact"), std::string::npos);
  EXPECT_NE(both[1].words.find("k is too small"), std::string::npos);
  Json by_share = record("retrieval", good(9, 0.3));
  by_share["config"]["share"] = 0.01;
  const auto shares = failure_signs({record("knn", good(9, 0.2)), by_share});
  EXPECT_EQ(shares.at(1).words.find("exact"), std::string::npos);
}

TEST(FailureSigns, TheThresholdOfAccuracyIsItsNumber) {
  EXPECT_TRUE(failure_signs({record("ivf", good(9, kAccuracyKl - 1e-6))}).empty());
  EXPECT_EQ(failure_signs({record("ivf", good(9, kAccuracyKl))}).size(), 1u);
}

TEST(FailureSigns, LatencyAndWhereItGoes) {
  Json slow = good(30);
  slow["search_ms"] = 24;
  const auto signs = failure_signs({record("hnsw", slow), record("full", good(15))});
  ASSERT_EQ(signs.size(), 1u);
  EXPECT_EQ(signs[0].sign, Sign::kLatency);
  EXPECT_EQ(signs[0].words,
            "slower than full attention: 30.0 against 15.0 ms a token, scanning 10.0 % of the "
            "keys; the search takes 80 % of the time");
}

TEST(FailureSigns, MemoryExhaustedOrIndexesLargerThanTheCache) {
  Json skipped = record("full", Json::object());
  skipped["status"] = "skipped";
  skipped["status_detail"] = "requires 10 bytes more";
  Json large = good(10);
  large["index_bytes"] = 2000000000;
  large["kv_bytes"] = 1000000000;
  const auto signs = failure_signs({skipped, record("hnsw", large)});
  ASSERT_EQ(signs.size(), 2u);
  EXPECT_EQ(signs[0].words, "does not fit in memory: requires 10 bytes more");
  EXPECT_EQ(signs[1].sign, Sign::kMemory);
  EXPECT_NE(signs[1].words.find("2.00 and 1.00 GB"), std::string::npos);
}

TEST(FailureSigns, FactsAreLostOnlyBeyondTheInterval) {
  const auto found = [](std::string_view mode, double share, double low, double high) {
    Json r = record(mode, {{"needle_frac", share}, {"kld_mean", nullptr}});
    r["ci95"] = {{"needle_frac", {low, high}}};
    return r;
  };
  EXPECT_TRUE(
      failure_signs({found("full", 0.9, 0.6, 1), found("streaming", 0.6, 0.3, 0.92)}).empty());
  const auto signs = failure_signs({found("full", 0.9, 0.6, 1), found("streaming", 0.2, 0, 0.5)});
  ASSERT_EQ(signs.size(), 1u);
  EXPECT_EQ(signs[0].sign, Sign::kFacts);
  EXPECT_EQ(signs[0].words, "loses facts: finds 20 % of what was hidden, full attention 90 %");
}

}  // namespace
}  // namespace ra::bench
