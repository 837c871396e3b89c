// SPDX-License-Identifier: Apache-2.0
#include "apps/bench/mode_policy.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "lib/core/memory.h"
#include "lib/core/parallel.h"
#include "lib/core/progress.h"
#include "lib/model/rope.h"

namespace ra::bench_app {

namespace {

ModePolicy make_policy(const ModeRun& run, const ModelContext& context) {
  ModePolicy m{.run = run};
  if (run.mode->dense) {
    m.policy = context.device().exact_attention();
  } else {
    attention::SparseOptions options = run.sparse;
    options.compute = context.compute();
    auto sparse = std::make_unique<attention::SparseAttention>(
        attention::shape_of(context.input().model.config), options);
    m.sparse = sparse.get();
    m.policy = context.device().policy(std::move(sparse));
  }
  return m;
}

void build_policy(ModePolicy& m, const ModelContext& context, const model::KvCache& cache,
                  std::uint64_t seed, const std::function<void(int)>& on_built) {
  if (m.sparse == nullptr) return;
  m.sparse->build(cache, context.training(m.run), seed, on_built);
  if (m.run.measured)
    m.sparse->measure_budget(cache, context.budget_queries(),
                             context.input().model.config.attention_scale);
}

}  // namespace

ModePolicies::ModePolicies(const std::vector<ModeRun>& runs, const ModelContext& context,
                           std::uint64_t seed)
    : context_(context), seed_(seed) {
  for (const ModeRun& run : runs) policies_.push_back(make_policy(run, context));
}

void ModePolicies::build_complete() {
  for (const ModePolicy& m : policies_) {
    if (m.sparse == nullptr) continue;
    m.sparse->build_complete(context_.cache(), context_.training(m.run), seed_);
    m.sparse->harvest(context_.cache(), context_.queries_so_far());
  }
}

std::vector<ModePolicy> ModePolicies::build() {
  for (ModePolicy& m : policies_) {
    if (m.sparse == nullptr) continue;
    Progress progress(fmt::format("build {}", m.run.mode->name),
                      static_cast<std::uint64_t>(std::max(1, m.sparse->index_count())), "indexes");
    build_policy(m, context_, context_.cache(), seed_,
                 [&](int done) { progress.update(static_cast<std::uint64_t>(done)); });
    m.build_peak_rss = peak_rss_bytes();
  }
  return std::move(policies_);
}

ModePolicy policy_beside(const ModePolicy& mode, const ModelContext& context,
                         const model::KvCache& cache, std::uint64_t seed) {
  ModePolicy other = make_policy(mode.run, context);
  build_policy(other, context, cache, seed, {});
  return other;
}

void add_build_metrics(const ModePolicy& mode, const ModelContext& context, Json& x) {
  const Json none = nullptr;
  const bool indexed = mode.sparse != nullptr && mode.sparse->index_count() > 0;
  const attention::IndexTotals t = indexed ? mode.sparse->totals() : attention::IndexTotals{};
  x["build_ms"] = t.build_ms;
  x["build_during_ms"] = t.during_ms;
  x["build_harvest_ms"] = t.harvest_ms;
  x["build_knn_ms"] = t.stats.knn_ms;
  x["build_metric_ms"] = t.stats.metric_ms;
  x["build_cluster_ms"] = t.stats.cluster_ms;
  x["build_pack_ms"] = t.stats.pack_ms;
  x["build_cpu_s"] = t.stats.cpu_s;
  x["build_peak_rss_bytes"] = indexed ? Json(mode.build_peak_rss) : none;
  x["build_prefill_ratio"] =
      indexed && context.prefill_run() ? Json(t.build_ms / context.prefill_run()->ms) : none;
  x["index_bytes"] = t.bytes;
  x["index_key_copy_bytes"] = t.key_bytes;
}

Json model_config(const ModelOptions& o, const SparseModeOptions& sparse, const ModelInput& in,
                  const ModelContext* context, const ModeRun& run, std::uint64_t seed,
                  const Json& own) {
  const Json none = nullptr;
  const bool dense = run.mode->dense;
  const auto& index = run.sparse.index;
  Json config = {{"model_sha256", in.file->sha256()},
                 {"input_sha256", in.sha256},
                 {"seed", seed},
                 {"threads", threads()},
                 {"deterministic", true},
                 {"architecture", in.model.config.architecture},
                 {"mode", run.mode->name}};
  config.update(own);
  config.update(
      {{"kv_dtype", o.kv_dtype},
       {"compute", o.compute},
       {"load_mode", o.load_mode},
       {"k", index ? Json(run.sparse.k) : none},
       {"sink", dense ? none : Json(sparse.sink)},
       {"window", dense ? none : Json(sparse.window)},
       {"flush", index && index->segment > 0 ? Json(sparse.flush) : none},
       {"index", run.index_text.empty() ? none : Json(run.index_text)},
       {"train",
        index && index->needs_queries && context != nullptr ? Json(context->train(run)) : none}});
  add_limits(run, config);
  if (!o.on_cpu()) config["device"] = o.device;
  if (!o.rope.scaling.empty())
    config["rope_scaling"] = Json::parse(model::rope_scaling_json(in.model.config));
  return config;
}

void add_limits(const ModeRun& run, Json& config) {
  if (!run.sparse.index) return;
  const attention::HitCut& cut = run.sparse.cut;
  if (run.sparse.group) config["select"] = "group";
  if (run.sparse.share > 0) {
    config["share"] = run.sparse.share;
    if (run.sparse.share_from > 0) config["share_from"] = run.sparse.share_from;
    if (run.sparse.rest) config["rest"] = "estimate";
  }
  if (run.measured) config["budget"] = "measured";
  if (run.sparse.sequential) config["schedule"] = "sequential";
  if (cut.top_p < 1) config["top_p"] = cut.top_p;
  if (std::isfinite(cut.range)) config["range"] = cut.range;
}

double attended_mean(const ModelContext& context, const model::AttendStats& stats, double steps) {
  const model::Config& c = context.input().model.config;
  return static_cast<double>(stats.attended_keys) / steps / (c.full_layers() * c.n_heads);
}

void add_search_times(const model::AttendStats& stats, double n, Json& metrics) {
  metrics["search_busy_ms"] = stats.search_busy_ms / n;
  metrics["search_cells_ms"] = stats.search_cells_ms / n;
  metrics["search_pick_ms"] = stats.search_pick_ms / n;
  metrics["search_floor_ms"] = stats.search_floor_ms / n;
  metrics["search_filter_ms"] = stats.search_filter_ms / n;
}

double scanned_frac(const ModeRun& run, const model::AttendStats& stats) {
  if (run.mode->dense) return 1;
  if (stats.indexed_keys == 0) return 0;
  return static_cast<double>(stats.distances) / static_cast<double>(stats.indexed_keys);
}

}  // namespace ra::bench_app
