// SPDX-License-Identifier: Apache-2.0
// ra-recall ood: Mahalanobis distance of queries to the keys, with held-out keys as the control
// (arXiv 2409.10516, figure 3b).
#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "apps/recall/head_rows.h"
#include "apps/recall/selection.h"
#include "lib/bench/results.h"
#include "lib/bench/table.h"
#include "lib/core/memory.h"
#include "lib/core/progress.h"
#include "lib/stats/auc.h"
#include "lib/stats/bootstrap.h"
#include "lib/stats/mahalanobis.h"
#include "lib/stats/quantiles.h"

namespace ra::recall {
namespace {

constexpr int kDefaultSamples = 5000;
constexpr std::size_t kControlShare = 5;  // at most a fifth of the keys is held out of the fit

struct Control {
  stats::KeyDistribution fit;
  std::vector<double> squared;  // of the held-out keys
};

Control fit_keys(const GroupVectors& v, const Options& o, std::size_t samples) {
  const std::size_t n = v.keys.rows();
  const std::uint64_t stream =
      static_cast<std::uint64_t>(v.group.layer) << 32 | static_cast<std::uint64_t>(v.group.kv_head);
  const auto held =
      sample_without_replacement(n, std::min(samples, n / kControlShare), o.common.seed, stream);
  std::vector<std::size_t> rest;
  for (std::size_t i = 0, next = 0; i < n; ++i) {
    if (next < held.size() && held[next] == i)
      ++next;
    else
      rest.push_back(i);
  }
  stats::KeyDistribution fit(gather(v.keys.view(), rest).view(), o.ridge);
  auto squared = fit.squared(gather(v.keys.view(), held).view());
  return {std::move(fit), std::move(squared)};
}

std::vector<double> roots(std::vector<double> squared) {
  for (double& v : squared) v = std::sqrt(v);
  return squared;
}

bench::Result measure(const GroupVectors& v, const HeadVectors& head, const TestSet& test,
                      const Control& control, Json config, const Options& o, std::size_t samples) {
  const std::size_t m = test.queries.rows();
  const auto rows = sample_without_replacement(m, std::min(samples, m), o.common.seed,
                                               static_cast<std::uint64_t>(head.head));
  const auto q2 = control.fit.squared(gather(test.queries.view(), rows).view());
  const auto &k2 = control.squared, q = roots(q2), k = roots(k2);
  bench::Result r;
  r.kind = "ood";
  config["layer"] = v.group.layer;
  config["head"] = head.head;
  config["kv_head"] = v.group.kv_head;
  config["query_set"] = test.name;
  config["n_fit"] = control.fit.n();
  config["n_query"] = q.size();
  config["n_key"] = k.size();
  config["ridge"] = o.ridge;
  r.config = std::move(config);
  const double q50 = stats::quantile(q, 0.5), k50 = stats::quantile(k, 0.5);
  const double q2_mean = stats::mean(q2), k2_mean = stats::mean(k2);
  r.metrics["mahalanobis_q_p50"] = q50;
  r.metrics["mahalanobis_k_p50"] = k50;
  r.metrics["mahalanobis_ratio"] = q50 / k50;
  r.metrics["mahalanobis_sq_q_mean"] = q2_mean;
  r.metrics["mahalanobis_sq_k_mean"] = k2_mean;
  r.metrics["mahalanobis_sq_ratio"] = q2_mean / k2_mean;
  r.metrics["condition_number"] = control.fit.condition_number();
  r.metrics["auc"] = stats::auc(q2, k2);
  const stats::BootstrapOptions bootstrap{.resamples = 1000, .seed = o.common.seed};
  r.ci95["mahalanobis_sq_q_mean"] = stats::bootstrap_mean_ci(q2, bootstrap);
  r.ci95["mahalanobis_sq_k_mean"] = stats::bootstrap_mean_ci(k2, bootstrap);
  r.samples["mahalanobis_q"] = {q};
  r.samples["mahalanobis_k"] = {k};
  return r;
}

// A row per layer and query set (means over heads), or per head with -v.
std::string table(const std::vector<Json>& records, const Options& o) {
  bench::Table t({"layer", o.common.verbose > 0 ? "head" : "heads", "<queries", "D(Q)", "D(K)",
                  "ratio", "D\u00b2(Q)", "D\u00b2(K)", "ratio\u00b2", "AUC", "condition"});
  for (const auto& [key, members] : head_rows(records, o.common.verbose > 0)) {
    const auto mean = [&, &m = members](const char* name) {
      double sum = 0;
      for (const Json* r : m) sum += (*r)["metrics"][name].get<double>();
      return bench::short_number(sum / static_cast<double>(m.size()));
    };
    const auto& [layer, set, head] = key;
    t.add({fmt::format("{}", layer),
           fmt::format("{}", head >= 0 ? head : static_cast<int>(members.size())), set,
           mean("mahalanobis_q_p50"), mean("mahalanobis_k_p50"), mean("mahalanobis_ratio"),
           mean("mahalanobis_sq_q_mean"), mean("mahalanobis_sq_k_mean"),
           mean("mahalanobis_sq_ratio"), mean("auc"), mean("condition_number")});
  }
  return t.render(o.format);
}

int run(const Options& o) {
  const auto dump = store::DumpReader::open(o.input);
  const Selection s = select(*dump, o);
  const MemoryNeed need[] = {{"vectors of one KV head", 2 * load_bytes(dump->info(), s, {})}};
  check_memory(need, memory_limit(o.common.memory_limit));
  bench::ResultWriter writer(o.out, {.tool = "ra-recall", .samples = !o.no_samples});
  const Json config = base_config(*dump, s, o);
  const auto samples = static_cast<std::size_t>(o.samples > 0 ? o.samples : kDefaultSamples);
  Progress progress("ood", s.groups.size(), "KV heads");
  for (std::size_t g = 0; g < s.groups.size(); ++g) {
    stop_if_interrupted();
    const GroupVectors v = load(*dump, s, s.groups[g], {});
    const Control control = fit_keys(v, o, samples);
    for (const HeadVectors& head : v.heads)
      for (const TestSet& test : head.tests)
        writer.write(measure(v, head, test, control, config, o, samples));
    progress.update(g + 1, fmt::format("layer {}", v.group.layer));
  }
  if (o.out != "-") fmt::print("{}", table(writer.records(), o));
  return 0;
}

}  // namespace

void bind_ood(CLI::App& root, Options& o, Chosen& chosen) {
  CLI::App* command =
      root.add_subcommand("ood", "Mahalanobis distance of queries and held-out keys to the keys");
  bind_input(*command, o);
  bind_selection(*command, o);
  command->add_option("--samples", o.samples, "Queries and held-out keys drawn per head; 0 = 5000")
      ->check(CLI::Range(0, 1 << 30))
      ->capture_default_str();
  command->add_option("--ridge", o.ridge, "Shrinkage of the key covariance towards tr(S)/d I, 0..1")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  bind_samples(*command, o);
  bind_records(*command, o);
  command->callback([&] { chosen = [&o] { return run(o); }; });
}

}  // namespace ra::recall
