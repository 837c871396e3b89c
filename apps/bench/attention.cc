// SPDX-License-Identifier: Apache-2.0
// ra-bench attention: the decode modes on a dump's own queries, keys and values, without a model.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <optional>

#include "apps/bench/decode_table.h"
#include "apps/bench/exact_scores.h"
#include "apps/bench/layer_data.h"
#include "apps/bench/memory_plan.h"
#include "apps/bench/mode_policy.h"
#include "apps/bench/options.h"
#include "lib/bench/cache_sweep.h"
#include "lib/bench/results.h"
#include "lib/bench/roofline.h"
#include "lib/core/clock.h"
#include "lib/core/error.h"
#include "lib/core/parallel.h"
#include "lib/core/params.h"
#include "lib/core/progress.h"
#include "lib/model/exact_attention.h"
#include "lib/store/vectors.h"

namespace ra::bench_app {
namespace {

using Clock = std::chrono::steady_clock;

std::size_t size(auto n) { return static_cast<std::size_t>(n); }

struct Measured {
  ModeRun run;
  std::unique_ptr<model::AttentionPolicy> policy;
  attention::SparseAttention* sparse = nullptr;
  std::vector<std::vector<double>> ms;  // repetition x query
  model::AttendStats stats;
  std::int64_t calls = 0;
  double cosine = 0, rel_l2 = 0, mass = 0, recall = 0;  // means over queries and heads
  std::optional<double> query_distance;                 // of the queries to the indexed keys
};

void compare_output(Measured& m, const LayerData& data, const ExactScores& exact,
                    const Matrix<float>& full, const Matrix<float>& out) {
  const std::size_t heads = size(data.info().n_heads), dim = size(data.info().value_dim);
  const double weight = 1.0 / static_cast<double>(data.count() * heads);
  std::vector<double> mass(heads, 1), recall(heads, 1);
  if (m.sparse != nullptr) {
    const auto retrieved = m.sparse->last_retrieved();
    parallel_for(heads, [&](std::size_t h, int) {
      Chosen chosen{m.sparse->indexed_begin(), m.sparse->indexed_end(), {}};
      if (m.run.sparse.index) chosen.retrieved = retrieved[h];
      mass[h] = exact.mass(h, chosen);
      const std::size_t k = m.run.sparse.group ? size(m.run.sparse.k) : chosen.retrieved.size();
      recall[h] = exact.recall(h, chosen, k);
    });
  }
  for (std::size_t h = 0; h < heads; ++h) {
    double aa = 0, bb = 0, ab = 0, dd = 0;
    for (std::size_t d = h * dim; d < (h + 1) * dim; ++d) {
      const double a = full.data()[d], b = out.data()[d];
      aa += a * a, bb += b * b, ab += a * b, dd += (a - b) * (a - b);
    }
    m.cosine += weight * ab / std::sqrt(std::max(aa * bb, 1e-300));
    m.rel_l2 += weight * std::sqrt(dd / std::max(aa, 1e-300));
    m.mass += weight * mass[h];
    m.recall += weight * recall[h];
  }
}

bench::Result result_of(const Measured& m, const store::DumpReader& dump, const AttentionOptions& o,
                        std::uint64_t seed, std::int64_t context, int layer) {
  bench::Result r;
  r.kind = "attention";
  r.config = {{"model_sha256", dump.info().model_sha256},
              {"input_sha256", dump.sha256()},
              {"seed", seed},
              {"threads", threads()},
              {"deterministic", true},
              {"mode", m.run.mode->name},
              {"context", context},
              {"layer", layer},
              {"head", nullptr},
              {"n_queries", o.queries},
              {"repetitions", o.repetitions},
              {"k", m.run.sparse.index ? Json(m.run.sparse.k) : Json(nullptr)},
              {"sink", m.run.mode->dense ? Json(nullptr) : Json(o.sparse.sink)},
              {"window", m.run.mode->dense ? Json(nullptr) : Json(o.sparse.window)},
              {"index", m.run.index_text.empty() ? Json(nullptr) : Json(m.run.index_text)},
              {"synthetic", o.synthetic},
              {"source_sha256", dump.sha256()}};
  if (o.synthetic) r.config["source_tokens"] = dump.info().n_tokens;
  if (o.cold) r.config["cold"] = true;
  add_limits(m.run, r.config);
  std::vector<double> all;
  for (const auto& rep : m.ms) all.insert(all.end(), rep.begin(), rep.end());
  const double median = bench::percentiles(all)["p50"], n = static_cast<double>(m.calls);
  const model::AttendStats& a = m.stats;
  r.metrics = {
      {"attention_ms", median},
      {"build_ms", m.sparse != nullptr ? m.sparse->totals().build_ms : 0.0},
      {"index_bytes", m.sparse != nullptr ? m.sparse->totals().bytes : 0},
      {"search_ms", a.search_ms / n},
      {"gather_ms", a.gather_ms / n},
      {"static_ms", a.static_ms / n},
      {"merge_ms", a.merge_ms / n},
      {"read_gb_s", static_cast<double>(a.bytes) / n / median / 1e6},
      {"scanned_frac", m.run.mode->dense ? 1.0
                       : a.indexed_keys > 0
                           ? static_cast<double>(a.distances) / static_cast<double>(a.indexed_keys)
                           : 0.0},
      {"attended_mean",
       static_cast<double>(a.attended_keys) / n / static_cast<double>(dump.info().n_heads)},
      {"output_cosine", m.cosine},
      {"output_rel_l2", m.rel_l2},
      {"mass_all_frac", m.mass},
      {"recall_tie", m.run.sparse.index ? Json(m.recall) : Json(nullptr)},
      {"mahalanobis_sq_q_mean", m.query_distance ? Json(*m.query_distance) : Json(nullptr)},
      {"work_distances", static_cast<double>(a.distances) / n},
      {"work_bytes", static_cast<double>(a.bytes) / n},
      {"work_hops", static_cast<double>(a.hops) / n}};
  add_search_times(a, n, r.metrics);
  r.samples["attention_ms"] = m.ms;
  return r;
}

attention::AttentionShape one_layer(const store::DumpInfo& info) {
  return {1,
          static_cast<int>(info.n_heads),
          static_cast<int>(info.n_kv_heads),
          static_cast<int>(info.head_dim),
          static_cast<int>(info.value_dim),
          {}};
}

std::vector<Measured> measure_layer(const LayerData& data, const std::vector<ModeRun>& runs,
                                    const AttentionOptions& o, std::uint64_t seed) {
  const store::DumpInfo& info = data.info();
  const attention::AttentionShape shape = one_layer(info);
  std::vector<Measured> measured;
  for (const ModeRun& run : runs) {
    Measured m{.run = run};
    if (run.mode->dense) {
      m.policy = std::make_unique<model::ExactAttention>();
    } else {
      auto sparse = std::make_unique<attention::SparseAttention>(shape, run.sparse);
      sparse->build(
          data.cache(),
          [&](int, int head, std::int64_t begin, std::int64_t end) {
            return attention::Training{data.training(head, begin, end), {}};
          },
          seed);
      if (run.measured)
        sparse->measure_budget(
            data.cache(), [&](int, int head) { return data.budget_queries(head); },
            static_cast<float>(info.scale));
      m.sparse = sparse.get();
      m.policy = std::move(sparse);
    }
    measured.push_back(std::move(m));
  }
  const auto distance = data.query_distance(o.sparse.sink, data.cache().size() - o.sparse.window);
  for (Measured& m : measured) m.query_distance = distance;
  model::ExactAttention exact;
  Matrix<float> full(1, size(info.n_heads * info.value_dim)), out = Matrix<float>(1, full.cols());
  for (std::size_t i = 0; i < data.count(); ++i) {  // quality; also the warm-up
    exact.attend(data.input(i), full.view());
    const ExactScores scores(data.input(i), size(info.n_heads));
    for (Measured& m : measured) {
      m.policy->attend(data.input(i), out.view());
      compare_output(m, data, scores, full, out);
    }
  }
  std::optional<bench::CacheSweep> sweep;
  if (o.cold) sweep.emplace();
  for (int rep = 0; rep < o.repetitions; ++rep)
    for (std::size_t at = 0; at < measured.size(); ++at) {
      Measured& m = measured[(at + size(rep)) % measured.size()];
      std::vector<double> ms;
      for (std::size_t i = 0; i < data.count(); ++i) {
        if (sweep) sweep->run();
        const auto start = Clock::now();
        m.stats += m.policy->attend(data.input(i), out.view());
        ms.push_back(ms_since(start));
        ++m.calls;
      }
      m.ms.push_back(std::move(ms));
    }
  return measured;
}

void check_contexts(const AttentionOptions& o, const store::DumpInfo& info,
                    const std::vector<std::int64_t>& contexts) {
  constexpr std::int64_t kLeast = 32;  // of stats::SyntheticContext
  const auto refuse = [&](std::string what, std::string why, std::string hint) {
    fail_bad_data({.what = std::move(what),
                   .file = o.dump,
                   .where = "-c",
                   .why = std::move(why),
                   .hint = std::move(hint)});
  };
  if (!o.synthetic && contexts.back() > info.n_tokens)
    refuse("context too long",
           fmt::format("{} tokens, the dump holds {}", contexts.back(), info.n_tokens),
           "--synthetic makes longer ones from it");
  if (o.synthetic && std::min(contexts.front(), info.n_tokens) < kLeast)
    refuse("context too short",
           fmt::format("{} tokens from a dump of {}", contexts.front(), info.n_tokens),
           fmt::format("--synthetic needs {} of both", kLeast));
}

}  // namespace

int run_attention(const AttentionOptions& o, const cli::CommonOptions& common) {
  const std::vector<ModeRun> runs = mode_runs(o.sparse);
  const auto dump = store::DumpReader::open(o.dump);
  const store::DumpInfo& info = dump->info();
  std::vector<std::int64_t> contexts{info.n_tokens};
  if (!o.contexts.empty()) contexts = parse_contexts(o.contexts);
  check_contexts(o, info, contexts);
  check_k(o.sparse, runs, contexts.front());
  const std::vector<int> layers =
      o.layers.empty() ? info.layers
                       : parse_list(o.layers, static_cast<int>(info.n_layers), "--layers");
  for (const int layer : layers) dump->check_layer(layer);
  std::vector<MemoryNeed> needs = LayerData::memory(info, contexts.back(), o);
  for (MemoryNeed& need : index_memory(runs, one_layer(info), contexts.back(),
                                       LayerData::cache_shape(info, contexts.back(), o).type))
    needs.push_back(std::move(need));
  if (o.cold) needs.push_back({"what empties the caches", bench::CacheSweep::kBytes});
  check_memory(needs, memory_limit(common.memory_limit));
  const bool train = std::any_of(runs.begin(), runs.end(), [](const ModeRun& r) {
    return (r.sparse.index && r.sparse.index->needs_queries) || r.measured;
  });
  bench::ResultWriter out(
      o.sparse.out,
      {.tool = "ra-bench", .pair = o.sparse.pair, .bandwidth_gb_s = bench::read_bandwidth_gb_s()});
  Progress progress(o.synthetic ? "attention, synthetic" : "attention",
                    contexts.size() * layers.size(), "layers");
  std::uint64_t done = 0;
  for (const std::int64_t context : contexts)
    for (const int layer : layers) {
      progress.update(done, fmt::format("layer {} at {}", layer, context));
      const LayerData data(*dump, layer, context, o, train, common.seed);
      for (const Measured& m : measure_layer(data, runs, o, common.seed))
        out.write(result_of(m, *dump, o, common.seed, context, layer));
      progress.update(++done);
    }
  if (o.sparse.out != "-") print_attention_table(out.records(), o.sparse.format);
  return 0;
}

}  // namespace ra::bench_app
