// SPDX-License-Identifier: Apache-2.0
// ra-recall overlap: how far the exact top k of a query is that of the queries some steps before,
// of the other heads of its group and of earlier layers, and what a query loses that attends to
// their set (arXiv 2409.10516, section 2.3: attention is sparse, but dynamic).
#include "lib/stats/overlap.h"

#include <fmt/core.h>

#include <algorithm>
#include <memory>

#include "apps/recall/head_rows.h"
#include "apps/recall/selection.h"
#include "lib/bench/results.h"
#include "lib/bench/table.h"
#include "lib/core/error.h"
#include "lib/core/memory.h"
#include "lib/core/progress.h"
#include "lib/stats/quantiles.h"

namespace ra::recall {
namespace {

using stats::Reuse;
using stats::TopSets;

// The sets of one head for the queries of one test set; they stay when its vectors are gone.
struct HeadSets {
  int layer = 0, head = 0;
  std::string query_set;
  TopSets sets;
};

// A lag counts positions, so the queries must follow each other without gaps.
void check_consecutive(const store::DumpReader& dump, const Selection& s) {
  const auto& positions = dump.info().q_pos;
  for (const TestRows& test : s.tests) {
    const std::int64_t first = positions[static_cast<std::size_t>(test.rows.front())];
    for (std::size_t i = 0; i < test.rows.size(); ++i) {
      const std::int64_t position = positions[static_cast<std::size_t>(test.rows[i])];
      if (position != first + static_cast<std::int64_t>(i))
        fail_bad_data({.what = "queries with gaps",
                       .file = dump.path().string(),
                       .where = "q_pos",
                       .why = fmt::format("{} is not stored, {} is",
                                          first + static_cast<std::int64_t>(i), position),
                       .hint = "dump with --queries all or last:N"});
    }
  }
}

std::vector<int> chosen_lags(const Options& o) {
  std::vector<int> lags = o.lags;
  std::sort(lags.begin(), lags.end());
  lags.erase(std::unique(lags.begin(), lags.end()), lags.end());
  if (lags.empty() || lags.front() < 1)
    fail_usage("--lags", fmt::format("{} steps", lags.empty() ? 0 : lags.front()), "at least 1");
  return lags;
}

std::uint64_t set_bytes(const Selection& s, const Options& o) {
  std::uint64_t heads = 0, queries = 0;
  for (const Group& group : s.groups) heads += group.heads.size();
  for (const TestRows& test : s.tests) queries += test.rows.size();
  return heads * queries * static_cast<std::uint64_t>(o.k) * sizeof(std::uint32_t);
}

// A head at hand, with what reuse() needs of it.
struct Judge {
  const stats::HeadData& head;
  const stats::ExactReference& exact;
  const TopSets& own;

  Reuse of(const TopSets& other, std::size_t lag) const {
    return stats::reuse(head, exact, own, other, lag);
  }
};

Json by_lag(const Judge& judge, const std::vector<int>& lags) {
  Json out = {{"lag", Json::array()},
              {"overlap_frac", Json::array()},
              {"mass_ratio", Json::array()},
              {"mass_all_frac", Json::array()}};
  for (const int lag : lags) {
    if (static_cast<std::size_t>(lag) >= judge.own.queries()) break;
    const Reuse r = judge.of(judge.own, static_cast<std::size_t>(lag));
    out["lag"].push_back(lag);
    out["overlap_frac"].push_back(r.overlap);
    out["mass_ratio"].push_back(r.mass_ratio);
    out["mass_all_frac"].push_back(r.mass_all);
  }
  return out;
}

// For each earlier layer: overlap with its heads, and what the set of the one that agrees most is
// worth.
Json by_layer(const Judge& judge, const std::vector<const HeadSets*>& earlier) {
  Json out = {{"layer", Json::array()},
              {"head", Json::array()},
              {"overlap_frac", Json::array()},
              {"overlap_mean_frac", Json::array()},
              {"mass_ratio", Json::array()}};
  for (std::size_t first = 0, end = 0; first < earlier.size(); first = end) {
    std::vector<double> overlaps;
    for (end = first; end < earlier.size() && earlier[end]->layer == earlier[first]->layer; ++end)
      overlaps.push_back(stats::overlap(judge.own, earlier[end]->sets));
    const auto best = std::max_element(overlaps.begin(), overlaps.end());
    const HeadSets& like = *earlier[first + static_cast<std::size_t>(best - overlaps.begin())];
    out["layer"].push_back(like.layer);
    out["head"].push_back(like.head);
    out["overlap_frac"].push_back(*best);
    out["overlap_mean_frac"].push_back(stats::mean(overlaps));
    out["mass_ratio"].push_back(judge.of(like.sets, 0).mass_ratio);
  }
  return out;
}

// Means over the other heads of the group; null without any.
void add_group(const Judge& judge, const std::vector<const TopSets*>& group, Json& metrics) {
  std::vector<double> overlaps, ratios;
  for (const TopSets* other : group) {
    if (other == &judge.own) continue;
    const Reuse r = judge.of(*other, 0);
    overlaps.push_back(r.overlap);
    ratios.push_back(r.mass_ratio);
  }
  const bool alone = overlaps.empty();
  metrics["group_overlap_frac"] = alone ? Json(nullptr) : Json(stats::mean(overlaps));
  metrics["group_mass_ratio"] = alone ? Json(nullptr) : Json(stats::mean(ratios));
  metrics["group_distinct"] = stats::distinct_keys(group);
}

class Overlap {
 public:
  explicit Overlap(const Options& o)
      : o_(o),
        lags_(chosen_lags(o)),
        dump_(store::DumpReader::open(o.input)),
        s_(select(*dump_, o)),
        writer_(o.out, {.tool = "ra-recall"}) {
    check_k(o.k, s_.n_keys(), "-k");
    check_consecutive(*dump_, s_);
  }

  const std::vector<Json>& run() {
    const MemoryNeed need[] = {{"vectors of one KV head", load_bytes(dump_->info(), s_, {})},
                               {"top sets of all heads", set_bytes(s_, o_)}};
    check_memory(need, memory_limit(o_.common.memory_limit));
    base_ = base_config(*dump_, s_, o_);
    Progress progress("overlap", s_.groups.size(), "KV heads");
    for (std::size_t g = 0; g < s_.groups.size(); ++g) {
      const GroupVectors v = load(*dump_, s_, s_.groups[g], {});
      for (std::size_t t = 0; t < s_.tests.size(); ++t) measure(v, t);
      progress.update(g + 1, fmt::format("layer {}", v.group.layer));
    }
    return writer_.records();
  }

 private:
  // The heads of a group over one set of queries.
  void measure(const GroupVectors& v, std::size_t t) {
    std::vector<const HeadVectors*> heads;
    for (const HeadVectors& head : v.heads)
      if (head.chosen) heads.push_back(&head);
    std::vector<stats::HeadData> data;
    std::vector<stats::ExactReference> exact;
    const std::size_t first = done_.size();
    for (const HeadVectors* head : heads) {
      stop_if_interrupted();
      data.push_back(v.head_data(head->tests[t]));
      exact.push_back(stats::exact_reference(data.back(), static_cast<std::size_t>(o_.k)));
      done_.push_back({v.group.layer, head->head, head->tests[t].name, TopSets(exact.back())});
    }
    std::vector<const TopSets*> group;
    std::vector<const HeadSets*> earlier;
    for (std::size_t i = 0; i < done_.size(); ++i) {
      if (i >= first) group.push_back(&done_[i].sets);
      if (done_[i].layer < v.group.layer && done_[i].query_set == heads.front()->tests[t].name)
        earlier.push_back(&done_[i]);
    }
    for (std::size_t h = 0; h < heads.size(); ++h) {
      stop_if_interrupted();
      const Judge judge{data[h], exact[h], *group[h]};
      bench::Result r;
      r.kind = "overlap";
      r.config = base_;
      r.config["layer"] = v.group.layer;
      r.config["head"] = heads[h]->head;
      r.config["kv_head"] = v.group.kv_head;
      r.config["query_set"] = heads[h]->tests[t].name;
      r.config["k"] = o_.k;
      r.config["n_keys"] = v.keys.rows();
      r.config["n_queries"] = judge.own.queries();
      const Reuse own = judge.of(judge.own, 0);
      r.metrics["exact_mass_all_frac"] = own.mass_all;
      add_group(judge, group, r.metrics);
      r.extra["by_lag"] = by_lag(judge, lags_);
      if (!earlier.empty()) r.extra["by_layer"] = by_layer(judge, earlier);
      writer_.write(r);
    }
  }

  Options o_;
  std::vector<int> lags_;
  std::unique_ptr<store::DumpReader> dump_;
  Selection s_;
  bench::ResultWriter writer_;
  Json base_;
  std::vector<HeadSets> done_;  // layers ascending
};

// A row per layer and query set, means over heads; with -v per head.
std::string table(const std::vector<Json>& records, const Options& o) {
  constexpr int kShown[] = {1, 8, 64};
  std::vector<std::string> headers{"layer", o.common.verbose > 0 ? "head" : "heads", "<queries"};
  for (const int lag : kShown) headers.push_back(fmt::format("{} back", lag));
  for (const int lag : kShown) headers.push_back(fmt::format("mass {}", lag));
  for (const char* name : {"group", "distinct", "layer"}) headers.emplace_back(name);
  bench::Table t(headers);
  const auto text = [](const std::vector<double>& values) {
    return values.empty() ? std::string("-") : fmt::format("{:.3f}", stats::mean(values));
  };
  for (const auto& [key, members] : head_rows(records, o.common.verbose > 0)) {
    const auto& [layer, set, head] = key;
    std::vector<std::string> row{
        fmt::format("{}", layer),
        fmt::format("{}", head >= 0 ? head : static_cast<int>(members.size())), set};
    for (const char* field : {"overlap_frac", "mass_ratio"})
      for (const int lag : kShown) {
        std::vector<double> values;
        for (const Json* r : members) {
          const auto lags = (*r)["by_lag"]["lag"].get<std::vector<int>>();
          const auto at = std::find(lags.begin(), lags.end(), lag);
          if (at != lags.end())
            values.push_back((*r)["by_lag"][field][static_cast<std::size_t>(at - lags.begin())]);
        }
        row.push_back(text(values));
      }
    std::vector<double> in_group, distinct, before;
    for (const Json* r : members) {
      const Json& m = (*r)["metrics"];
      if (!m["group_overlap_frac"].is_null()) in_group.push_back(m["group_overlap_frac"]);
      distinct.push_back(m["group_distinct"]);
      if (r->contains("by_layer")) before.push_back((*r)["by_layer"]["overlap_frac"].back());
    }
    row.push_back(text(in_group));
    row.push_back(fmt::format("{:.0f}", stats::mean(distinct)));
    row.push_back(text(before));
    t.add(std::move(row));
  }
  const std::string rendered = t.render(o.format);
  if (o.format != "md") return rendered;
  return rendered +
         fmt::format(
             "share of the top {} that is in the set of the query N back, of another head of the "
             "group, of the most\nlike head of the layer before; mass: what the set of the query N "
             "back holds, of what the own one does\n",
             o.k);
}

int run(const Options& o) {
  Overlap overlap(o);
  const std::vector<Json>& records = overlap.run();
  if (o.out != "-") fmt::print("{}", table(records, o));
  return 0;
}

}  // namespace

void bind_overlap(CLI::App& root, Options& o, Chosen& chosen) {
  CLI::App* command = root.add_subcommand(
      "overlap", "How far the top keys of a query are those of earlier steps, heads and layers");
  bind_input(*command, o);
  bind_selection(*command, o);
  bind_k(*command, o);
  command
      ->add_option("--lags", o.lags,
                   "Steps back; those that a set of queries is too short for are left out")
      ->delimiter(',')
      ->capture_default_str();
  bind_records(*command, o);
  command->callback([&] { chosen = [&o] { return run(o); }; });
}

}  // namespace ra::recall
