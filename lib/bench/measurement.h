// SPDX-License-Identifier: Apache-2.0
// What compare looks at, read from result records (JSON lines) or Google Benchmark JSON.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "lib/core/json.h"

namespace ra::bench {

// All runs of one experiment in one file.
struct Measurement {
  std::string name;  // for people, short
  std::string key;   // tool, kind and config as text: two measurements match if keys are equal
  std::string tool, kind;
  Json config = Json::object();
  std::map<std::string, std::string> machine;  // cpu, isa, threads
  std::string compiler;
  std::string time_name;  // "decode_ms", "real_time_ns"; empty = it has no times
  // The two sides took turns sample by sample: the i-th times of a pair belong together.
  bool in_turns = false;
  std::map<std::int64_t, std::vector<double>>
      times;                             // pair (-1 = none) -> samples in `time_name`'s unit
  std::map<std::string, double> values;  // deterministic numbers: work, recall, divergence, sizes
  std::set<std::string> unsteady;        // those of them that differ from one run to the next
};

// Throws Error{kNoInput, kBadData}: malformed or torn JSON, another schema, nothing measured.
// Of Google Benchmark, several outputs in a row (cat run*.json) are pairs 0, 1, ...; a number given
// as --benchmark_context=pair=N comes first.
std::vector<Measurement> read_measurements(const std::filesystem::path& file);

}  // namespace ra::bench
