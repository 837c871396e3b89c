// SPDX-License-Identifier: Apache-2.0
// The points of recall curves: an index at one effort over the heads of one set of queries, and
// over the seeds of --repeats.
#pragma once

#include <limits>
#include <string>
#include <vector>

#include "lib/core/json.h"

namespace ra::recall {

using Records = std::vector<const Json*>;

// NaN if the record has none: null, or of an earlier version.
double metric(const Json& record, const char* name);
// Of the records that have it; NaN if none has.
double mean_metric(const Records& records, const char* name);

// One head over its seeds.
struct HeadPoint {
  const Json* config;  // of one of its records
  double recall;       // mean over the seeds
};

struct Point {
  std::string index, search, query_set;
  Records records;  // a head and a seed each
  std::vector<HeadPoint> heads;
  std::vector<Records> seeds;              // the records of each seed, in order of the seed
  double recall = 0, scanned = 0, us = 0;  // means
  double build_s = std::numeric_limits<double>::quiet_NaN();  // mean over its builds
  double bytes_per_key = std::numeric_limits<double>::quiet_NaN();
  bool dominated = false;  // another is no worse in recall, keys scanned and time, better in one

  double head_quantile(double p) const;  // of the recall of its heads
  const HeadPoint& worst() const;
  // Of the means over heads, one for each seed.
  std::vector<double> by_seed(const char* name) const;
  // Their standard deviation; NaN with one seed.
  double spread(const char* name) const;
};

// The points of `recall` records, with the cost of their builds from `build` records; in the order
// of first appearance, prompt queries before generated ones before the control. Points hold
// pointers into `records`.
std::vector<Point> curve_points(const std::vector<Json>& records);

}  // namespace ra::recall
