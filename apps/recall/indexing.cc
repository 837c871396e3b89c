// SPDX-License-Identifier: Apache-2.0
#include "apps/recall/indexing.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "lib/bench/table.h"
#include "lib/core/error.h"
#include "lib/core/memory.h"

namespace ra::recall {
namespace {

using index::IndexSpec;

std::vector<int> default_sweep(const IndexSpec& spec, int k, std::size_t n) {
  if (spec.type->effort_key == "target") return {600, 700, 800, 900, 950, 980};
  const bool probes = spec.type->effort_key == "probes";
  const int first = probes ? 1 : k, last = probes ? 128 : 16 * k;
  const int limit =
      static_cast<int>(probes ? 4 * std::sqrt(static_cast<double>(n)) : static_cast<double>(n));
  std::vector<int> out;
  for (int effort = first; effort <= last && effort <= limit; effort *= 2) out.push_back(effort);
  return out;
}

bool learns_from(const IndexUnit& unit, const HeadVectors& h) {
  return unit.spec->needs_queries && h.train.rows() > 0 && (!unit.head || h.head == *unit.head);
}

}  // namespace

std::vector<IndexSpec> parse_indexes(const Options& o, std::size_t n_keys) {
  std::vector<IndexSpec> specs;
  for (const std::string& text : o.index)
    for (const Spec& spec : parse_specs(text)) {
      IndexSpec checked = index::check_index_spec(spec);
      if (sweeps_by_default(checked)) checked.efforts = default_sweep(checked, o.k, n_keys);
      specs.push_back(std::move(checked));
    }
  return specs;
}

Wanted wanted_by(const std::vector<IndexSpec>& specs, bool values) {
  Wanted w{.values = values};
  for (const IndexSpec& spec : specs) {
    if (!spec.needs_queries) continue;
    w.train = true;
    w.group_train = w.group_train || spec.share_group;
  }
  return w;
}

std::vector<IndexUnit> index_units(const IndexSpec& spec, const Group& group, std::size_t n_keys,
                                   std::size_t train_rows, std::size_t group_heads,
                                   const Json& base) {
  std::vector<IndexUnit> units;
  const auto add = [&](std::optional<int> head, std::size_t learns) {
    Json c = base;
    c["layer"] = group.layer;
    c["head"] = nullptr;
    if (head) c["head"] = *head;
    c["kv_head"] = group.kv_head;
    c["index"] = spec.build_text();
    c["n_keys"] = n_keys;
    c["n_train"] = spec.needs_queries ? learns * train_rows : 0;
    units.push_back({.spec = &spec, .head = head, .config = std::move(c)});
  };
  if (spec.share_group) {
    add(std::nullopt, group_heads);
  } else {
    for (const int head : group.heads) add(head, 1);
  }
  return units;
}

index::BuildInput build_input(const IndexUnit& unit, const GroupVectors& v, std::uint64_t seed) {
  index::BuildInput in{.keys = v.keys.view(), .train = {}, .seed = seed};
  for (const HeadVectors& h : v.heads)
    if (learns_from(unit, h)) in.train.push_back({h.train.view()});
  return in;
}

std::uint32_t train_set(const IndexUnit& unit, const GroupVectors& v, int head) {
  std::uint32_t set = 0;
  for (const HeadVectors& h : v.heads) {
    if (h.head == head) return learns_from(unit, h) ? set : 0;
    set += learns_from(unit, h) ? 1 : 0;
  }
  return 0;
}

bench::Result build_record(const IndexUnit& unit, const index::VectorIndex& built) {
  const index::BuildStats& b = built.build_stats();
  bench::Result r;
  r.kind = "build";
  r.config = unit.config;
  r.metrics["build_ms"] = b.build_ms;
  r.metrics["knn_ms"] = b.knn_ms;
  r.metrics["project_ms"] = b.project_ms;
  r.metrics["connect_ms"] = b.connect_ms;
  r.metrics["cpu_s"] = b.cpu_s;
  r.metrics["index_bytes"] = built.memory_bytes();
  r.metrics["key_copy_bytes"] = b.key_bytes;
  r.metrics["peak_rss_bytes"] = peak_rss_bytes();
  r.metrics["degree_mean"] = b.degree_mean;
  r.metrics["degree_max"] = b.degree_max;
  r.metrics["reachable_frac"] = b.reachable_frac;
  r.metrics["work_distances"] = b.distances;
  return r;
}

bool sweeps_by_default(const IndexSpec& spec) {
  const std::string key(spec.type->effort_key);
  return !key.empty() && !spec.spec.params.contains(key);
}

bool sweep_saturated(const IndexSpec& spec, const Json* previous, const Json& metrics) {
  if (previous == nullptr || !sweeps_by_default(spec)) return false;
  return (*previous)["work_distances"] == metrics["work_distances"];
}

std::string search_text(const IndexSpec& spec, int effort) {
  return spec.type->effort_key.empty() ? "" : fmt::format("{}={}", spec.type->effort_key, effort);
}

std::string build_table(const std::vector<Json>& records, const std::string& format) {
  std::vector<std::string> order;
  for (const Json& r : records)
    if (r["kind"] == "build" &&
        std::find(order.begin(), order.end(), r["config"]["index"]) == order.end())
      order.push_back(r["config"]["index"]);
  bench::Table t({"<index", "builds", "ms", "kNN ms", "CPU s", "MiB", "degree", "reachable %"});
  ShortNames names(format);
  for (const std::string& text : order) {
    std::size_t n = 0;
    const auto mean = [&](const char* metric) {
      double sum = 0;
      n = 0;
      for (const Json& r : records)
        if (r["kind"] == "build" && r["config"]["index"] == text) {
          sum += r["metrics"][metric].get<double>();
          ++n;
        }
      return sum / static_cast<double>(n);
    };
    const double ms = mean("build_ms");
    t.add({names.of(text), fmt::format("{}", n), bench::short_number(ms),
           bench::short_number(mean("knn_ms")), bench::short_number(mean("cpu_s")),
           bench::short_number(mean("index_bytes") / (1 << 20)),
           bench::short_number(mean("degree_mean")),
           fmt::format("{:.2f}", 100 * mean("reachable_frac"))});
  }
  return t.render(format) + names.legend();
}

std::string ShortNames::of(const std::string& text) {
  if (full_ || text.size() <= column_) return text;
  auto at = std::find(long_.begin(), long_.end(), text);
  if (at == long_.end()) at = long_.insert(long_.end(), text);
  return fmt::format("{}#{}", text.substr(0, text.find(':')), at - long_.begin() + 1);
}

std::string ShortNames::legend() const {
  std::string out;
  for (std::size_t i = 0; i < long_.size(); ++i)
    out += fmt::format("{}#{} = {}\n", long_[i].substr(0, long_[i].find(':')), i + 1, long_[i]);
  return out;
}

}  // namespace ra::recall
