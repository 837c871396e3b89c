// SPDX-License-Identifier: Apache-2.0
#include "apps/recall/curve_points.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "lib/stats/quantiles.h"

namespace ra::recall {
namespace {

std::vector<double> values(const Records& records, const char* name) {
  std::vector<double> out;
  for (const Json* r : records)
    if (const double value = metric(*r, name); !std::isnan(value)) out.push_back(value);
  return out;
}

// A point without a time is not beaten in time.
bool beats(const Point& a, const Point& b) {
  if (a.query_set != b.query_set) return false;
  const bool timed = !std::isnan(a.us) && !std::isnan(b.us);
  if (a.recall < b.recall || a.scanned > b.scanned || (timed && a.us > b.us)) return false;
  return a.recall > b.recall || a.scanned < b.scanned || (timed && a.us < b.us);
}

void describe(Point& p, const Records& built) {
  std::map<std::pair<int, std::string>, Records> heads;  // the control has a KV head, but no head
  std::map<std::uint64_t, Records> seeds;
  for (const Json* r : p.records) {
    const Json& c = (*r)["config"];
    const int layer = c["layer"].is_null() ? -1 : c["layer"].get<int>();
    heads[{layer, c["head"].dump() + "/" + c["kv_head"].dump()}].push_back(r);
    seeds[c["seed"].get<std::uint64_t>()].push_back(r);
  }
  for (const auto& [place, records] : heads)
    p.heads.push_back({&(*records.front())["config"], mean_metric(records, "recall_id")});
  for (const auto& [seed, records] : seeds) p.seeds.push_back(records);
  p.recall = mean_metric(p.records, "recall_id");
  p.scanned = mean_metric(p.records, "scanned_frac");
  p.us = mean_metric(p.records, "query_us");
  if (built.empty()) return;
  p.build_s = mean_metric(built, "build_ms") / 1000;
  p.bytes_per_key = (mean_metric(built, "index_bytes") - mean_metric(built, "key_copy_bytes")) /
                    p.records.front()->at("config")["n_keys"].get<double>();
}

}  // namespace

double metric(const Json& record, const char* name) {
  const Json& metrics = record.at("metrics");
  const auto at = metrics.find(name);
  return at == metrics.end() || at->is_null() ? std::numeric_limits<double>::quiet_NaN()
                                              : at->get<double>();
}

double mean_metric(const Records& records, const char* name) {
  const auto all = values(records, name);
  return all.empty() ? std::numeric_limits<double>::quiet_NaN() : stats::mean(all);
}

double Point::head_quantile(double p) const {
  std::vector<double> recall_of;
  for (const HeadPoint& head : heads) recall_of.push_back(head.recall);
  return stats::quantile(std::move(recall_of), p);
}

const HeadPoint& Point::worst() const {
  return *std::min_element(heads.begin(), heads.end(), [](const HeadPoint& a, const HeadPoint& b) {
    return a.recall < b.recall;
  });
}

std::vector<double> Point::by_seed(const char* name) const {
  std::vector<double> out;
  for (const Records& of_seed : seeds) out.push_back(mean_metric(of_seed, name));
  return out;
}

double Point::spread(const char* name) const {
  return seeds.size() < 2 ? std::numeric_limits<double>::quiet_NaN()
                          : stats::summarise(by_seed(name)).stddev;
}

std::vector<Point> curve_points(const std::vector<Json>& records) {
  std::map<std::string, Records> builds;
  std::vector<Point> out;
  std::map<std::string, std::size_t> row_of;
  for (const Json& r : records) {
    const Json& c = r["config"];
    if (r["kind"] == "build") builds[c["index"]].push_back(&r);
    if (r["kind"] != "recall") continue;
    const std::string index = c["index"], search = c["search"], set = c["query_set"];
    const auto [at, is_new] = row_of.emplace(index + "\n" + search + "\n" + set, out.size());
    if (is_new) {
      out.emplace_back();
      out.back().index = index;
      out.back().search = search;
      out.back().query_set = set;
    }
    out[at->second].records.push_back(&r);
  }
  for (Point& p : out) describe(p, builds[p.index]);
  for (Point& p : out)
    p.dominated = std::any_of(out.begin(), out.end(), [&](const Point& q) { return beats(q, p); });
  const auto rank = [](const Point& p) {
    return p.query_set == "decode" ? 1 : p.query_set == "keys" ? 2 : 0;
  };
  std::stable_sort(out.begin(), out.end(),
                   [&](const Point& a, const Point& b) { return rank(a) < rank(b); });
  return out;
}

}  // namespace ra::recall
