// SPDX-License-Identifier: Apache-2.0
// ra-recall curve: recall, attention mass and work of each index over its effort
// (arXiv 2409.10516, figures 3a and 6).
#include <fmt/core.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "apps/recall/ann_curve.h"
#include "apps/recall/curve_table.h"
#include "apps/recall/earlier.h"
#include "apps/recall/evaluate.h"
#include "apps/recall/indexing.h"
#include "apps/recall/repeats.h"
#include "apps/recall/saved_index.h"
#include "apps/recall/selection.h"
#include "lib/core/error.h"
#include "lib/core/memory.h"
#include "lib/core/progress.h"

namespace ra::recall {
namespace {

constexpr std::size_t kDefaultControls = 512;  // keys used as queries

// A set of queries of a group, known before its vectors are read.
struct CaseName {
  std::optional<int> head;  // none: the control, keys used as queries
  std::string query_set;
  std::size_t n_queries = 0;
};

// Its queries and their exact answers.
struct Case {
  stats::HeadData data;
  stats::ExactReference exact;
  std::vector<stats::AttentionLoss> exact_loss;
  std::vector<std::uint32_t> self;
};

std::vector<CaseName> case_names(const Selection& s, const Group& group, const Options& o) {
  std::vector<CaseName> names;
  if (o.direction != "k_to_k")
    for (const int head : group.heads)
      for (const TestRows& test : s.tests) names.push_back({head, test.name, test.rows.size()});
  if (o.direction != "q_to_k") {
    const std::size_t wanted =
        o.samples > 0 ? static_cast<std::size_t>(o.samples) : kDefaultControls;
    names.push_back({std::nullopt, "keys", std::min(wanted, s.n_keys())});
  }
  return names;
}

Case exact_case(const GroupVectors& v, const CaseName& name, std::size_t k) {
  Case c;
  for (const HeadVectors& head : v.heads)
    for (const TestSet& test : head.tests)
      if (head.head == *name.head && test.name == name.query_set) c.data = v.head_data(test);
  c.exact = stats::exact_reference(c.data, k);
  c.exact_loss = losses_of_exact(c.data, c.exact);
  return c;
}

// Keys drawn as queries; `storage` keeps them alive.
Case control_case(const GroupVectors& v, const CaseName& name, const Options& o,
                  Matrix<float>& storage) {
  const std::uint64_t stream =
      static_cast<std::uint64_t>(v.group.layer) << 32 | static_cast<std::uint64_t>(v.group.kv_head);
  const auto rows =
      sample_without_replacement(v.keys.rows(), name.n_queries, o.common.seed, stream);
  storage = gather(v.keys.view(), rows);
  Case c;
  c.data.queries = storage.view();
  c.data.keys = v.keys.view();
  c.self.assign(rows.begin(), rows.end());
  c.exact = stats::exact_reference(c.data, static_cast<std::size_t>(o.k), c.self);
  return c;
}

// The sets an index serves, as numbers into `names`; those of one batch are searched together.
std::vector<std::vector<std::size_t>> batches_of(const IndexUnit& unit,
                                                 const std::vector<CaseName>& names,
                                                 const Options& o) {
  std::vector<std::vector<std::size_t>> batches;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const CaseName& name = names[i];
    if (unit.head && name.head && name.head != unit.head) continue;
    const auto joins = [&](const std::vector<std::size_t>& batch) {
      const CaseName& first = names[batch.front()];
      return o.batch == "group" && first.head && first.query_set == name.query_set;
    };
    const auto at = std::find_if(batches.begin(), batches.end(), joins);
    if (at != batches.end()) {
      at->push_back(i);
    } else {
      batches.push_back({i});
    }
  }
  return batches;
}

Json point_config(const Json& base, const IndexUnit& unit, const CaseName& name, int effort,
                  std::size_t batch, const Options& o) {
  Json c = base;
  c["layer"] = unit.config["layer"];
  c["head"] = unit.config["head"];
  if (name.head) c["head"] = *name.head;
  c["kv_head"] = unit.config["kv_head"];
  c["index"] = unit.config["index"];
  c["search"] = search_text(*unit.spec, effort);
  c["k"] = o.k;
  c["n_keys"] = unit.config["n_keys"];
  c["n_queries"] = name.n_queries;
  c["query_set"] = name.query_set;
  c["direction"] = name.head ? "q_to_k" : "k_to_k";
  if (batch > 1) c["batch"] = batch;
  if (o.select == "group") c["select"] = "group";
  return c;
}

std::vector<index::IndexSpec> checked_specs(const Options& o, std::size_t n_keys) {
  check_k(o.k + (o.direction != "q_to_k" ? 1 : 0), n_keys, "-k");
  auto specs = parse_indexes(o, n_keys);
  for (const index::IndexSpec& spec : specs)
    if (o.select == "group" && !spec.share_group)
      fail_usage("--select",
                 fmt::format("group, but of {} each head has its own", spec.spec.text()),
                 "leave share=head out");
  if (!o.load.empty()) check_savable(specs, "--load");
  return specs;
}

// One command over the dump: what all of its groups share.
class Curve {
 public:
  explicit Curve(const Options& o)
      : o_(o),
        dump_(store::DumpReader::open(o.input)),
        s_(select(*dump_, o)),
        specs_(checked_specs(o, s_.n_keys())),
        wanted_(wanted_by(specs_, /*values=*/true)),
        earlier_(o),
        writer_(o.out, {.tool = "ra-recall", .samples = !o.no_samples}) {}

  int run() {
    const store::DumpInfo& info = dump_->info();
    // Indexes are made one after the other; a copy of the keys and as much in links each.
    const MemoryNeed need[] = {
        {"vectors of one KV head", load_bytes(info, s_, wanted_)},
        {"an index", 2 * s_.n_keys() * static_cast<std::uint64_t>(info.head_dim) * 4}};
    check_memory(need, memory_limit(o_.common.memory_limit));
    const std::size_t groups = s_.groups.size();
    const auto repeats = static_cast<std::size_t>(o_.repeats);
    const std::uint64_t first_seed = o_.common.seed;
    Progress progress("curve", repeats * groups * specs_.size(), "indexes");
    for (std::size_t i = 0; i < repeats; ++i) {
      o_.common.seed = first_seed + i;
      s_ = select(*dump_, o_);
      base_ = base_config(*dump_, s_, o_);
      base_["n_train"] = wanted_.train ? s_.train_rows.size() : 0;
      for (std::size_t g = 0; g < groups; ++g)
        run_group(s_.groups[g], (i * groups + g) * specs_.size(), progress);
    }
    if (repeats > 1)
      for (const bench::Result& r : repeat_records(curve_points(writer_.records())))
        if (earlier_.find(r.kind, r.config) == nullptr) writer_.write(r);
    if (o_.out != "-") fmt::print("{}", curve_table(writer_.records(), o_));
    return 0;
  }

 private:
  // `done` indexes came before it.
  void run_group(const Group& group, std::size_t done, Progress& progress) {
    const auto names = case_names(s_, group, o_);
    const auto group_heads =
        static_cast<std::size_t>(dump_->info().n_heads / dump_->info().n_kv_heads);
    std::vector<std::vector<IndexUnit>> todo(specs_.size());
    bool any = false;
    for (std::size_t i = 0; i < specs_.size(); ++i)
      for (IndexUnit& unit :
           index_units(specs_[i], group, s_.n_keys(), s_.train_rows.size(), group_heads, base_))
        if (!finished(unit, names)) {
          todo[i].push_back(std::move(unit));
          any = true;
        }
    GroupVectors v;
    std::vector<Case> cases;
    Matrix<float> controls;
    if (any) {
      v = load(*dump_, s_, group, wanted_);
      for (const CaseName& name : names) {
        stop_if_interrupted();
        cases.push_back(name.head ? exact_case(v, name, static_cast<std::size_t>(o_.k))
                                  : control_case(v, name, o_, controls));
      }
    }
    for (std::size_t i = 0; i < specs_.size(); ++i) {
      progress.update(done + i, fmt::format("layer {} KV head {} {}", group.layer, group.kv_head,
                                            specs_[i].spec.name));
      for (const IndexUnit& unit : todo[i]) {
        stop_if_interrupted();
        const auto in = build_input(unit, v, o_.common.seed);
        const auto index =
            o_.load.empty() ? index::build_index(*unit.spec, in) : load_index(o_.load, unit, in);
        sweep(unit, *index, names, cases, v);
        // After the points: a unit whose build is recorded has all of them.
        if (earlier_.find("build", unit.config) == nullptr)
          writer_.write(build_record(unit, *index));
      }
      progress.update(done + i + 1);
    }
  }

  // Whether an earlier run left all points of this index; then they join the table. Of a sweep
  // whose end the index decides, the record of its build says that it came to its end.
  bool finished(const IndexUnit& unit, const std::vector<CaseName>& names) {
    const Json* build = earlier_.find("build", unit.config);
    if (build == nullptr) return false;
    std::vector<const Json*> found{build};
    for (const auto& batch : batches_of(unit, names, o_))
      for (const std::size_t i : batch) {
        std::size_t points = 0;
        for (const int effort : unit.spec->efforts) {
          const Json* point = earlier_.find(
              "recall", point_config(base_, unit, names[i], effort, batch.size(), o_));
          if (point == nullptr) break;
          found.push_back(point);
          ++points;
        }
        if (points == 0 || (points < unit.spec->efforts.size() && !sweeps_by_default(*unit.spec)))
          return false;
      }
    for (const Json* record : found) writer_.remember(*record);
    return true;
  }

  // All points of one index: every query set it serves, every effort.
  void sweep(const IndexUnit& unit, const index::VectorIndex& index,
             const std::vector<CaseName>& names, const std::vector<Case>& cases,
             const GroupVectors& v) {
    for (const auto& batch : batches_of(unit, names, o_)) {
      std::vector<Judged> judged;
      for (const std::size_t i : batch)
        judged.push_back({.head = cases[i].data,
                          .exact = cases[i].exact,
                          .self = cases[i].self,
                          .exact_loss = cases[i].exact_loss,
                          .train_set = names[i].head ? train_set(unit, v, *names[i].head) : 0});
      Json previous;  // metrics of the last point
      for (const int effort : unit.spec->efforts) {
        stop_if_interrupted();
        std::vector<Json> configs;
        std::vector<const Json*> found;
        for (const std::size_t i : batch) {
          configs.push_back(point_config(base_, unit, names[i], effort, batch.size(), o_));
          found.push_back(earlier_.find("recall", configs.back()));
        }
        for (const Json* record : found)
          if (record != nullptr) writer_.remember(*record);
        if (std::count(found.begin(), found.end(), nullptr) == 0) {
          previous = (*found.front())["metrics"];
          continue;
        }
        auto results = evaluate(
            index, {.k = o_.k, .effort = effort}, judged,
            {.together = o_.select == "group", .timed = !o_.untimed, .seed = o_.common.seed});
        if (sweep_saturated(*unit.spec, previous.is_null() ? nullptr : &previous,
                            results.front().metrics))
          break;
        previous = results.front().metrics;
        for (std::size_t i = 0; i < results.size(); ++i) {
          if (found[i] != nullptr) continue;
          results[i].config = std::move(configs[i]);
          writer_.write(results[i]);
        }
      }
    }
  }

  Options o_;  // its seed is that of the repeat
  std::unique_ptr<store::DumpReader> dump_;
  Selection s_;  // of the repeat
  std::vector<index::IndexSpec> specs_;
  Wanted wanted_;
  Earlier earlier_;
  bench::ResultWriter writer_;
  Json base_;
};

void check_select(const Options& o) {
  if (o.select != "group") return;
  if (o.batch != "group")
    fail_usage("--select", "group needs the queries of a group in one call", "add --batch group");
  if (o.direction != "q_to_k")
    fail_usage("--select", "group has no meaning for keys as queries", "leave --direction out");
}

// Warns of what does not differ between seeds.
void check_repeats(const Options& o) {
  if (o.repeats == 1) return;
  if (!o.load.empty())
    fail_usage("--repeats", "indexes of --load were built with one seed", "build them here");
  if (o.train > 0 && o.test_draw > 0) return;
  const std::string line = fmt::format(
      "--repeats: every seed has the same {} queries (draw them with --train N, --test-draw N)",
      o.train > 0       ? "test"
      : o.test_draw > 0 ? "training"
                        : "training and test");
  cli::warn(o.common, {&line, 1});
}

int run(const Options& o) {
  if (store::is_ann_file(o.input)) return run_ann_curve(o);
  check_select(o);
  check_repeats(o);
  return Curve(o).run();
}

}  // namespace

void bind_curve(CLI::App& root, Options& o, Chosen& chosen) {
  CLI::App* command = root.add_subcommand(
      "curve", "Recall and attention mass against work, for each index and effort");
  bind_input(*command, o);
  bind_selection(*command, o);
  bind_training(*command, o);
  bind_index(*command, o);
  bind_k(*command, o);
  command
      ->add_option("--direction", o.direction,
                   "q_to_k, k_to_k (control: keys as queries, self-match excluded) or both")
      ->check(CLI::IsMember({"q_to_k", "k_to_k", "both"}))
      ->capture_default_str();
  command->add_option("--samples", o.samples, "Keys drawn as queries of the control; 0 = 512")
      ->check(CLI::Range(0, 1 << 30))
      ->capture_default_str();
  command
      ->add_option("--batch", o.batch,
                   "One search call per query, or per position for the chosen heads of a group")
      ->check(CLI::IsMember({"query", "group"}))
      ->capture_default_str();
  command
      ->add_option("--select", o.select,
                   "What of a --batch group counts for a head: its own hits (head), or what the "
                   "index has for any of the group, as ra-bench attends to it (group)")
      ->check(CLI::IsMember({"head", "group"}))
      ->capture_default_str();
  command->add_flag("--untimed", o.untimed, "Search on all threads; query times are left out");
  bind_samples(*command, o);
  command
      ->add_option("--repeats", o.repeats,
                   "Seeds, from --seed on: each draws its training and test queries and builds its "
                   "own indexes; the table has mean and spread, a `repeats` record too")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command
      ->add_option("--test-draw", o.test_draw,
                   "Of each set of test queries draw at most N, by the seed; 0 = all. Indexes that "
                   "remember their last queries (qgraph) then see them with gaps")
      ->check(CLI::Range(0, 1 << 30))
      ->capture_default_str();
  command->add_option("--load", o.load, "Take indexes that build --save left in this folder");
  command->add_flag("--resume", o.resume, "Leave out what -o already holds a record of");
  command->add_flag("--raw", o.raw,
                    "The table shows points that another beats in recall, work and time as well");
  bind_records(*command, o);
  command->callback([&] { chosen = [&o] { return run(o); }; });
}

}  // namespace ra::recall
