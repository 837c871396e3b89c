// SPDX-License-Identifier: Apache-2.0
// Result records: one JSON line per measurement, appended, never rewritten. Plots, tables and
// compare read nothing else. Field names carry the unit; see experiments/README.md for the list.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lib/core/json.h"

namespace ra::bench {

inline constexpr int kSchemaVersion = 1;

// n, mean, stddev, min, p05, p50, p95, p99, max of a non-empty set.
Json percentiles(std::vector<double> values);

struct Result {
  std::string kind;  // decode attention quality recall repeats growth ood sparsity overlap build
  std::string status = "ok", status_detail;
  Json config = Json::object();   // everything that defines the experiment and nothing else
  Json metrics = Json::object();  // numbers; NaN and infinities are written as null
  std::map<std::string, std::vector<std::vector<double>>> samples;  // repetition x inner
  std::map<std::string, std::pair<double, double>> ci95;
  Json extra = Json::object();  // optional top-level fields, for example given_neighbors_agree
};

struct Run {
  std::string tool;
  std::optional<std::int64_t> pair;
  double bandwidth_gb_s = 0;  // measured read bandwidth, 0 = not measured
  bool samples = true;        // false: lines without raw samples, their percentiles stay
};

// Adds schema_version, tool, run_id, time, provenance and percentiles.
Json to_record(const Result& result, const Run& run);

// Appends whole lines to a file with one write and a sync each; a torn last line is cut off first.
// The constructor checks that the file can be written and refuses one that does not hold records;
// the first record creates it. "-" is stdout; "" writes nothing. Throws Error 73/74/77.
class ResultWriter {
 public:
  ResultWriter(const std::filesystem::path& out, Run run);
  ~ResultWriter();
  void write(const Result& result);
  // A record of an earlier run that records() shall hold as well.
  void remember(Json record) { records_.push_back(std::move(record)); }
  // For the human table: without samples, so that long runs stay small.
  const std::vector<Json>& records() const { return records_; }

 private:
  std::filesystem::path out_;
  Run run_;
  int fd_ = -1;  // of stdout or a device; regular files are reopened for each line
  std::vector<Json> records_;
};

// Reads a .jsonl file of records. Throws Error{kBadData} with the line number for malformed JSON,
// an unknown schema_version or an empty file, and as read_bytes.
std::vector<Json> read_records(const std::filesystem::path& file);

// What an interrupted run left to go on from: as read_records, but a torn last line is left out, an
// absent or empty file holds no records, and samples are dropped.
std::vector<Json> read_finished_records(const std::filesystem::path& file);

}  // namespace ra::bench
