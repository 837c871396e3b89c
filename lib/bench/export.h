// SPDX-License-Identifier: Apache-2.0
// Measurements in the formats of other trackers.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/bench/measurement.h"

namespace ra::bench {

// googlebench: Google Benchmark's JSON, for its compare.py: a repetition for each sample and the
//   aggregates mean, median, stddev and cv; cpu_time is the wall time too, deterministic numbers
//   are counters. What has no times is left out; Error{kBadData} if nothing is left.
// smaller-is-better: github-action-benchmark's list of name, unit, value, range and extra; of the
//   deterministic numbers those that grow when things get worse.
// md, csv: one row a number.
// records: result records without samples and origin, only the deterministic numbers that compare
//   judges, sorted: the same bytes from every run, to be committed as a baseline.
std::span<const std::string_view> export_formats();

// `format` is one of export_formats(). NaN and infinities, which JSON has not, are left out.
std::string export_as(std::string_view format, const std::vector<Measurement>& all);

}  // namespace ra::bench
