// SPDX-License-Identifier: Apache-2.0
// ra-recall sparsity: softmax mass that a few keys hold, chosen per query or kept from the first
// one (arXiv 2409.10516, figure 2). Mass of top keys is over the indexed keys; sink, window and
// entropy are over everything the query sees. `--sink 0 --window 0` makes all prompt keys indexed
// ones.
#include "lib/stats/sparsity.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>

#include "apps/recall/selection.h"
#include "lib/bench/results.h"
#include "lib/bench/table.h"
#include "lib/core/memory.h"
#include "lib/core/progress.h"
#include "lib/stats/bootstrap.h"
#include "lib/stats/quantiles.h"

namespace ra::recall {
namespace {

constexpr int kDefaultKs[] = {10, 20, 50, 100, 200, 500, 1000};

std::vector<std::size_t> chosen_ks(const Options& o, std::size_t n_keys) {
  std::vector<std::size_t> ks;
  for (const int k : o.ks) {
    check_k(k, n_keys, "--ks");
    ks.push_back(static_cast<std::size_t>(k));
  }
  if (o.ks.empty())
    for (const int k : kDefaultKs)
      if (static_cast<std::size_t>(k) <= n_keys) ks.push_back(static_cast<std::size_t>(k));
  if (ks.empty()) ks.push_back(n_keys);
  std::sort(ks.begin(), ks.end());
  ks.erase(std::unique(ks.begin(), ks.end()), ks.end());
  return ks;
}

void write_records(const stats::Sparsity& found, const std::vector<std::size_t>& ks,
                   const Json& config, const Options& o, bench::ResultWriter& writer) {
  for (std::size_t i = 0; i < ks.size(); ++i) {
    bench::Result r;
    r.kind = "sparsity";
    r.config = config;
    r.config["k"] = ks[i];
    r.metrics["recovery_dynamic_frac"] = stats::mean(found.recovery_dynamic[i]);
    r.metrics["recovery_static_frac"] = stats::mean(found.recovery_static[i]);
    for (std::size_t t = 0; t < found.k_for.size(); ++t)
      r.metrics[fmt::format("k_for_{:.0f}", 100 * stats::kMassTargets[t])] =
          stats::mean(found.k_for[t]);
    r.metrics["sink_frac"] = stats::mean(found.sink);
    r.metrics["window_frac"] = stats::mean(found.window);
    r.metrics["entropy_nats"] = stats::mean(found.entropy);
    r.samples["recovery_dynamic_frac"] = {found.recovery_dynamic[i]};
    r.ci95["recovery_dynamic_frac"] = stats::bootstrap_mean_ci(
        found.recovery_dynamic[i], {.resamples = 1000, .seed = o.common.seed});
    writer.write(r);
  }
}

// A row per layer and query set, means over heads; with -v per head.
std::string table(const std::vector<Json>& records, const std::vector<std::size_t>& ks,
                  const Options& o) {
  using Key = std::tuple<int, std::string, int>;
  std::map<Key, std::map<std::size_t, std::vector<const Json*>>> groups;
  for (const Json& r : records) {
    const Json& c = r["config"];
    const int head = o.common.verbose > 0 ? c["head"].get<int>() : -1;
    groups[{c["layer"], c["query_set"], head}][c["k"]].push_back(&r["metrics"]);
  }
  // At most four columns of k, so that the table fits 100 characters.
  std::vector<std::size_t> shown;
  for (const std::size_t k : ks)
    if (ks.size() <= 4 || k == 10 || k == 100 || k == 500 || k == 1000) shown.push_back(k);
  if (shown.empty()) shown.push_back(ks.back());
  std::vector<std::string> headers{"layer", o.common.verbose > 0 ? "head" : "heads", "<queries"};
  for (const std::size_t k : shown) headers.push_back(fmt::format("top {}", k));
  for (const char* h : {"kept", "k for 90%", "sink", "window", "entropy"}) headers.emplace_back(h);
  bench::Table t(headers);
  for (const auto& [key, by_k] : groups) {
    const auto mean = [](const std::vector<const Json*>& m, const char* name) {
      double sum = 0;
      for (const Json* r : m) sum += (*r)[name].get<double>();
      return sum / static_cast<double>(m.size());
    };
    const auto& [layer, set, head] = key;
    const auto& last = by_k.at(shown.back());
    std::vector<std::string> row{
        fmt::format("{}", layer),
        fmt::format("{}", head >= 0 ? head : static_cast<int>(last.size())), set};
    for (const std::size_t k : shown)
      row.push_back(fmt::format("{:.3f}", mean(by_k.at(k), "recovery_dynamic_frac")));
    row.push_back(fmt::format("{:.3f}", mean(last, "recovery_static_frac")));
    row.push_back(fmt::format("{:.0f}", mean(last, "k_for_90")));
    row.push_back(fmt::format("{:.3f}", mean(last, "sink_frac")));
    row.push_back(fmt::format("{:.3f}", mean(last, "window_frac")));
    row.push_back(fmt::format("{:.2f}", mean(last, "entropy_nats")));
    t.add(std::move(row));
  }
  const std::string text = t.render(o.format);
  if (o.format != "md") return text;
  return text +
         fmt::format(
             "top k: share of the softmax mass over the indexed keys; kept: the first query's "
             "top {} kept for all\n",
             shown.back());
}

int run(const Options& o) {
  const auto dump = store::DumpReader::open(o.input);
  const Selection s = select(*dump, o);
  const auto ks = chosen_ks(o, s.n_keys());
  const MemoryNeed need[] = {{"vectors of one KV head", load_bytes(dump->info(), s, {})}};
  check_memory(need, memory_limit(o.common.memory_limit));
  bench::ResultWriter writer(o.out, {.tool = "ra-recall", .samples = !o.no_samples});
  const Json base = base_config(*dump, s, o);
  Progress progress("sparsity", s.groups.size(), "KV heads");
  for (std::size_t g = 0; g < s.groups.size(); ++g) {
    const GroupVectors v = load(*dump, s, s.groups[g], {});
    for (const HeadVectors& head : v.heads)
      for (const TestSet& test : head.tests) {
        stop_if_interrupted();
        Json config = base;
        config["layer"] = v.group.layer;
        config["head"] = head.head;
        config["kv_head"] = v.group.kv_head;
        config["query_set"] = test.name;
        config["n_keys"] = v.keys.rows();
        config["n_queries"] = test.queries.rows();
        write_records(stats::sparsity(v.head_data(test), v.n_sink, ks), ks, config, o, writer);
      }
    progress.update(g + 1, fmt::format("layer {}", v.group.layer));
  }
  if (o.out != "-") fmt::print("{}", table(writer.records(), ks, o));
  return 0;
}

}  // namespace

void bind_sparsity(CLI::App& root, Options& o, Chosen& chosen) {
  CLI::App* command =
      root.add_subcommand("sparsity", "Attention mass of the top keys, the sink and the window");
  bind_input(*command, o);
  bind_selection(*command, o);
  command->add_option("--ks", o.ks, "Sizes of the top set; default 10,20,50,100,200,500,1000")
      ->delimiter(',');
  bind_samples(*command, o);
  bind_records(*command, o);
  command->callback([&] { chosen = [&o] { return run(o); }; });
}

}  // namespace ra::recall
