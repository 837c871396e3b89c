// SPDX-License-Identifier: Apache-2.0
// ra-recall curve: recall, attention mass and work of each index over its effort
// (arXiv 2409.10516, figures 3a and 6).
#include <fmt/core.h>

#include <algorithm>
#include <map>

#include "apps/recall/ann_curve.h"
#include "apps/recall/curve_table.h"
#include "apps/recall/evaluate.h"
#include "apps/recall/indexing.h"
#include "apps/recall/selection.h"
#include "lib/core/error.h"
#include "lib/core/memory.h"
#include "lib/core/progress.h"

namespace ra::recall {
namespace {

constexpr int kDefaultControls = 512;  // keys used as queries

// The queries of one head or, for the control, of the keys themselves, with their exact answers.
struct Case {
  const HeadVectors* head = nullptr;  // nullptr: the control
  std::string query_set;
  stats::HeadData data;
  stats::ExactReference exact;
  std::vector<std::uint32_t> self;
};

std::vector<Case> exact_cases(const GroupVectors& v, const Options& o) {
  std::vector<Case> cases;
  const auto k = static_cast<std::size_t>(o.k);
  if (o.direction != "k_to_k")
    for (const HeadVectors& head : v.heads)
      for (const TestSet& test : head.tests) {
        stop_if_interrupted();
        Case c{.head = &head,
               .query_set = test.name,
               .data = v.head_data(test),
               .exact = {},
               .self = {}};
        c.exact = stats::exact_reference(c.data, k);
        cases.push_back(std::move(c));
      }
  return cases;
}

// Keys drawn as queries; `storage` keeps them alive.
Case control_case(const GroupVectors& v, const Options& o, Matrix<float>& storage) {
  const std::size_t n = v.keys.rows();
  const auto count = static_cast<std::size_t>(o.samples > 0 ? o.samples : kDefaultControls);
  const std::uint64_t stream =
      static_cast<std::uint64_t>(v.group.layer) << 32 | static_cast<std::uint64_t>(v.group.kv_head);
  const auto rows = sample_without_replacement(n, std::min(count, n), o.common.seed, stream);
  storage = gather(v.keys.view(), rows);
  Case c{.head = nullptr, .query_set = "keys", .data = {}, .exact = {}, .self = {}};
  c.data.queries = storage.view();
  c.data.keys = v.keys.view();
  c.self.assign(rows.begin(), rows.end());
  c.exact = stats::exact_reference(c.data, static_cast<std::size_t>(o.k), c.self);
  return c;
}

// All points of one built index: every query set it serves, every effort.
void sweep(const index::IndexSpec& spec, const Built& built, const GroupVectors& v,
           const std::vector<Case>& cases, const Json& base, const Options& o,
           bench::ResultWriter& writer) {
  for (const Case& c : cases) {
    const bool control = c.head == nullptr;
    if (!control && std::find(built.heads.begin(), built.heads.end(), c.head) == built.heads.end())
      continue;
    Json previous;  // metrics of the last point
    for (const int effort : spec.efforts) {
      stop_if_interrupted();
      bench::Result r = evaluate(*built.index, {.k = o.k, .effort = effort},
                                 {.head = c.data,
                                  .exact = c.exact,
                                  .self = c.self,
                                  .attention = !control,
                                  .seed = o.common.seed});
      if (sweep_saturated(spec, previous.is_null() ? nullptr : &previous, r.metrics)) break;
      previous = r.metrics;
      Json config = base;
      config["layer"] = v.group.layer;
      config["head"] = nullptr;
      if (!control) config["head"] = c.head->head;
      if (control && !spec.share_group) config["head"] = built.heads.front()->head;
      config["kv_head"] = v.group.kv_head;
      config["index"] = spec.build_text();
      config["search"] = search_text(spec, effort);
      config["k"] = o.k;
      config["n_keys"] = v.keys.rows();
      config["n_queries"] = c.data.queries.rows;
      config["query_set"] = c.query_set;
      config["direction"] = control ? "k_to_k" : "q_to_k";
      r.config = std::move(config);
      writer.write(r);
    }
  }
}

int run_dump(const Options& o) {
  const auto dump = store::DumpReader::open(o.input);
  const Selection s = select(*dump, o);
  const bool controls = o.direction != "q_to_k";
  check_k(o.k + (controls ? 1 : 0), s.n_keys(), "-k");
  const auto specs = parse_indexes(o, s.n_keys());
  const Wanted wanted = wanted_by(specs, /*values=*/true);
  const std::uint64_t bytes = load_bytes(dump->info(), s, wanted);
  // Indexes are built one after the other; a copy of the keys and as much in links each.
  const MemoryNeed need[] = {
      {"vectors of one KV head", bytes},
      {"an index", 2 * s.n_keys() * static_cast<std::uint64_t>(dump->info().head_dim) * 4}};
  check_memory(need, memory_limit(o.common.memory_limit));
  bench::ResultWriter writer(o.out, {.tool = "ra-recall"});
  Json base = base_config(*dump, s, o);
  base["n_train"] = wanted.train ? s.train_rows.size() : 0;
  Progress progress("curve", s.groups.size() * specs.size(), "indexes");
  std::size_t done = 0;
  for (const Group& group : s.groups) {
    const GroupVectors v = load(*dump, s, group, wanted);
    std::vector<Case> cases = exact_cases(v, o);
    Matrix<float> sampled;
    if (controls) cases.push_back(control_case(v, o, sampled));
    for (const index::IndexSpec& spec : specs) {
      progress.update(
          done, fmt::format("layer {} KV head {} {}", group.layer, group.kv_head, spec.spec.name));
      for_each_index(spec, v, base, o, writer,
                     [&](const Built& built) { sweep(spec, built, v, cases, base, o, writer); });
      progress.update(++done);
    }
  }
  if (o.out != "-") fmt::print("{}", curve_table(writer.records(), o));
  return 0;
}

int run(const Options& o) { return store::is_ann_file(o.input) ? run_ann_curve(o) : run_dump(o); }

}  // namespace

void bind_curve(CLI::App& root, Options& o, Chosen& chosen) {
  CLI::App* command = root.add_subcommand(
      "curve", "Recall and attention mass against work, for each index and effort");
  bind_input(*command, o);
  bind_selection(*command, o);
  bind_training(*command, o);
  bind_index(*command, o);
  command->add_option("-k", o.k, "Keys to retrieve")
      ->check(CLI::Range(1, 1 << 30))
      ->capture_default_str();
  command
      ->add_option("--direction", o.direction,
                   "q_to_k, k_to_k (control: keys as queries, self-match excluded) or both")
      ->check(CLI::IsMember({"q_to_k", "k_to_k", "both"}))
      ->capture_default_str();
  command->add_option("--samples", o.samples, "Keys drawn as queries of the control; 0 = 512")
      ->check(CLI::Range(0, 1 << 30))
      ->capture_default_str();
  bind_records(*command, o);
  command->callback([&] { chosen = [&o] { return run(o); }; });
}

}  // namespace ra::recall
