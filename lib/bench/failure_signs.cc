// SPDX-License-Identifier: Apache-2.0
#include "lib/bench/failure_signs.h"

#include <fmt/format.h>

#include <optional>
#include <string_view>

namespace ra::bench {
namespace {

std::optional<double> number(const Json& record, const char* metric) {
  const auto& metrics = record.at("metrics");
  const auto it = metrics.find(metric);
  if (it == metrics.end() || !it->is_number()) return std::nullopt;
  return it->get<double>();
}

bool is_ok(const Json& record) { return record.value("status", "ok") == "ok"; }

bool has_mode(const Json& record, std::string_view mode) {
  return record.at("config").at("mode") == mode;
}

// The record of `mode` beside `record`; null if there is none.
const Json* beside(const std::vector<Json>& records, const Json& record, std::string_view mode) {
  for (const Json& other : records)
    if (is_ok(other) && has_mode(other, mode) && other.at("kind") == record.at("kind") &&
        other.at("config").at("context") == record.at("config").at("context"))
      return &other;
  return nullptr;
}

// Whether the index or top-k itself is to blame, where the exact top k was run too. It says nothing
// of keys that were chosen by share.
std::string blame(const Json& record, const Json* exact) {
  const Json& config = record.at("config");
  if (exact == nullptr || exact == &record || config.at("index").is_null() ||
      config.contains("share"))
    return "";
  const auto kl = number(*exact, "kld_mean");
  if (!kl) return "";
  return *kl >= kAccuracyKl
             ? fmt::format("; so does the exact top k (KL {:.2g}): k is too small", *kl)
             : fmt::format("; the exact top k does not (KL {:.2g}): its index misses keys", *kl);
}

std::string accuracy(const Json& record, const Json* exact) {
  const auto kl = number(record, "kld_mean"), same = number(record, "same_top1_frac");
  if (!kl || *kl < kAccuracyKl) return "";
  return fmt::format("loses accuracy: KL {:.2g} to full attention{}{}", *kl,
                     same ? fmt::format(", same next token {:.0f} %", 100 * *same) : "",
                     blame(record, exact));
}

std::string facts(const Json& record, const Json* full) {
  const auto found = number(record, "needle_frac"),
             by_full = full != nullptr ? number(*full, "needle_frac") : std::nullopt;
  if (!found || !by_full || record.at("ci95").at("needle_frac").at(1) >= *by_full) return "";
  return fmt::format("loses facts: finds {:.0f} % of what was hidden, full attention {:.0f} %",
                     100 * *found, 100 * *by_full);
}

std::string latency(const Json& record, const Json* full) {
  const auto ms = number(record, "decode_ms"),
             full_ms = full != nullptr ? number(*full, "decode_ms") : std::nullopt;
  if (!ms || !full_ms || *ms <= kSlower * *full_ms) return "";
  std::string words =
      fmt::format("slower than full attention: {:.1f} against {:.1f} ms a token", *ms, *full_ms);
  if (const auto scanned = number(record, "scanned_frac"))
    words += fmt::format(", scanning {:.1f} % of the keys", 100 * *scanned);
  if (const auto search = number(record, "search_ms"); search && *search > *ms / 2)
    words += fmt::format("; the search takes {:.0f} % of the time", 100 * *search / *ms);
  return words;
}

std::string memory(const Json& record) {
  if (record.value("status", "ok") == "skipped")
    return fmt::format("does not fit in memory: {}", record.at("status_detail").get<std::string>());
  const auto index = number(record, "index_bytes"), cache = number(record, "kv_bytes");
  if (!index || !cache || *index <= kLargeIndex * *cache) return "";
  return fmt::format(
      "needs more memory for its indexes than the KV cache takes: {:.2f} and {:.2f} GB",
      *index / 1e9, *cache / 1e9);
}

}  // namespace

std::vector<FailureSign> failure_signs(const std::vector<Json>& records) {
  std::vector<FailureSign> signs;
  for (std::size_t i = 0; i < records.size(); ++i) {
    const Json& r = records[i];
    const auto add = [&](Sign sign, std::string words) {
      if (!words.empty()) signs.push_back({i, sign, std::move(words)});
    };
    add(Sign::kMemory, memory(r));
    if (!is_ok(r) || has_mode(r, "full")) continue;
    const Json *full = beside(records, r, "full"), *exact = beside(records, r, "knn");
    add(Sign::kAccuracy, accuracy(r, exact));
    add(Sign::kFacts, facts(r, full));
    add(Sign::kLatency, latency(r, full));
  }
  return signs;
}

}  // namespace ra::bench
