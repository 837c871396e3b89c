// SPDX-License-Identifier: Apache-2.0
#include "apps/recall/repeats.h"

#include <utility>

namespace ra::recall {
namespace {

Json common_config(const Point& p) {
  Json c = p.records.front()->at("config");
  for (const char* own : {"seed", "layer", "head", "kv_head"}) c.erase(own);
  c["seeds"] = Json::array();
  for (const Records& of_seed : p.seeds)
    c["seeds"].push_back(of_seed.front()->at("config")["seed"]);
  c["heads"] = Json::array();
  for (const HeadPoint& head : p.heads) {
    const Json& place = *head.config;
    c["heads"].push_back(place["layer"].dump() + "/" +
                         place[place["head"].is_null() ? "kv_head" : "head"].dump());
  }
  return c;
}

bench::Result summed_up(const Point& p) {
  bench::Result r;
  r.kind = "repeats";
  r.config = common_config(p);
  for (const auto& [name, value] : p.records.front()->at("metrics").items()) {
    if (name == "worst_query") continue;  // a number of a query, not an amount
    r.metrics[name] = mean_metric(p.records, name.c_str());
    r.metrics[name + "_sd"] = p.spread(name.c_str());
  }
  r.metrics["recall_id_head_p05"] = p.head_quantile(0.05);
  r.metrics["recall_id_head_min"] = p.worst().recall;
  for (const Records& of_seed : p.seeds) {
    std::vector<double> recall;
    for (const Json* record : of_seed) recall.push_back(metric(*record, "recall_id"));
    r.samples["recall_id"].push_back(std::move(recall));
  }
  return r;
}

}  // namespace

std::vector<bench::Result> repeat_records(const std::vector<Point>& points) {
  std::vector<bench::Result> out;
  for (const Point& p : points)
    if (p.seeds.size() > 1) out.push_back(summed_up(p));
  return out;
}

}  // namespace ra::recall
