// SPDX-License-Identifier: Apache-2.0
// Base against new: deterministic numbers by tolerance, times by the Hodges-Lehmann shift of their
// logarithms. The two kinds of evidence are never mixed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lib/bench/measurement.h"

namespace ra::bench {

enum class Verdict { kOk, kImproved, kRegression, kInconclusive };
std::string_view verdict_name(Verdict v);

struct CompareOptions {
  double threshold = 0.03;  // smallest slow-down that counts
  double alpha = 0.01;      // family-wise, Holm over all timed measurements
  bool allow_missing = false;
  std::uint64_t seed = 1;
};

struct Comparison {
  std::string name, metric;
  double base = 0, fresh = 0;  // medians of times, or the values
  double change = 0;           // fresh / base - 1; for times exp(shift) - 1
  double low = 0, high = 0;    // interval of `change` for times
  std::size_t pairs = 0;       // paired runs used; 0 = unpaired samples or a value
  bool timed = false;
  Verdict verdict = Verdict::kOk;
  std::string note;
};

struct CompareReport {
  std::vector<Comparison> rows;
  std::vector<std::string> warnings;  // unpaired times, other machine, missing measurements
  Verdict verdict = Verdict::kOk;     // regression before inconclusive before ok
};

CompareReport compare(const std::vector<Measurement>& base, const std::vector<Measurement>& fresh,
                      const CompareOptions& options);

}  // namespace ra::bench
