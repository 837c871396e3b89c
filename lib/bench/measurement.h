// SPDX-License-Identifier: Apache-2.0
// What compare looks at, read from result records (JSON lines) or Google Benchmark JSON.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "lib/core/json.h"

namespace ra::bench {

// All runs of one experiment in one file.
struct Measurement {
  std::string name;  // for people, short
  std::string key;   // tool, kind and config: two measurements match if keys are equal
  std::map<std::string, std::string> machine;  // cpu, isa, threads: must be equal to be compared
  std::string time_name;                       // "decode_ms", "real_time"; empty = it has no times
  std::map<std::int64_t, std::vector<double>>
      times;                             // pair (-1 = none) -> samples in `time_name`'s unit
  std::map<std::string, double> values;  // deterministic numbers: work, recall, divergence, sizes
};

// Throws Error{kNoInput, kBadData}: malformed JSON, another schema, nothing measured.
std::vector<Measurement> read_measurements(const std::filesystem::path& file);

}  // namespace ra::bench
