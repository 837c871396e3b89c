// SPDX-License-Identifier: Apache-2.0
// Base against new. Two kinds of evidence, never mixed:
//   deterministic numbers (work, recall, losses, sizes, hashes): any change beyond the tolerance of
//     value_rules.h counts, whatever the times say;
//   times: only of paired runs, by the Hodges-Lehmann shift of the log ratios of the pairs with a
//     bootstrap interval; slower if the interval lies above the threshold and Wilcoxon's test of
//     the same shift says so after Holm's correction over all measurements; unchanged if the
//     interval lies below it; else inconclusive. The threshold is at least twice what the base
//     build differs from itself (A/A).
// Measurements of another CPU, level, thread count or configuration are not compared: the field
// that differs is named.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lib/bench/measurement.h"

namespace ra::bench {

enum class Verdict { kOk, kImproved, kRegression, kInconclusive };
std::string_view verdict_name(Verdict v);

struct CompareOptions {
  double threshold = 0.03;     // smallest slow-down that counts
  double alpha = 0.01;         // family-wise, Holm over all timed measurements
  bool counters_only = false;  // no times; then only `isa` of the machine has to be equal
  bool exact = false;          // deterministic numbers may not get better either
  bool unpaired = false;       // times without pairs decide too, though drift is not removed
  bool allow_missing = false;
  std::uint64_t seed = 1;
};

struct Comparison {
  std::string name, metric;
  double base = 0, fresh = 0;  // medians of times, or the values
  double change = 0;           // fresh / base - 1; for times exp(shift) - 1
  double low = 0, high = 0;    // interval of `change` for times
  double threshold = 0;        // of `change` for times, raised to twice `floor`
  double floor = 0;            // |change| of the base build against itself; 0 = not measured
  double p = 1;                // that it is not slower than the threshold, after Holm
  std::size_t pairs = 0;       // paired runs used; 0 = unpaired samples or a value
  std::vector<double> log_ratios = {};  // of new to base, by pair
  bool timed = false;
  Verdict verdict = Verdict::kOk;
  std::string note;
};

struct CompareReport {
  std::vector<Comparison> rows;
  std::vector<std::string> warnings;  // unpaired times, another compiler, missing measurements
  Verdict verdict = Verdict::kOk;     // regression before inconclusive before ok
};

// Pair numbers that both sides have.
std::size_t common_pairs(const Measurement& base, const Measurement& fresh);

// `again` holds the base build measured a second time beside the others, with the same pair
// numbers; it may be empty. Nothing in common is inconclusive.
CompareReport compare(const std::vector<Measurement>& base, const std::vector<Measurement>& fresh,
                      const std::vector<Measurement>& again, const CompareOptions& options);

}  // namespace ra::bench
