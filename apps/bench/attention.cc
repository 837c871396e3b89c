// SPDX-License-Identifier: Apache-2.0
// ra-bench attention: the decode modes on a dump's own queries, keys and values, without a model.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <numeric>

#include "apps/bench/decode_table.h"
#include "apps/bench/mode_policy.h"
#include "apps/bench/options.h"
#include "lib/attention/train_queries.h"
#include "lib/bench/results.h"
#include "lib/bench/roofline.h"
#include "lib/core/clock.h"
#include "lib/core/error.h"
#include "lib/core/parallel.h"
#include "lib/core/params.h"
#include "lib/core/progress.h"
#include "lib/model/exact_attention.h"
#include "lib/model/kv_cache.h"
#include "lib/store/vectors.h"

namespace ra::bench_app {
namespace {

using Clock = std::chrono::steady_clock;

std::size_t size(auto n) { return static_cast<std::size_t>(n); }

// Rows of q_pos whose position is in [begin, end), at most `most` of them, spread evenly.
std::vector<std::int64_t> pick_rows(const store::DumpInfo& info, std::int64_t begin,
                                    std::int64_t end, std::int64_t most) {
  const auto first =
      std::lower_bound(info.q_pos.begin(), info.q_pos.end(), begin) - info.q_pos.begin();
  const auto last =
      std::lower_bound(info.q_pos.begin(), info.q_pos.end(), end) - info.q_pos.begin();
  const std::int64_t count = last - first, take = std::min(count, most);
  std::vector<std::int64_t> rows;
  for (std::int64_t i = 0; i < take; ++i) rows.push_back(first + i * count / take);
  return rows;
}

// One layer of the dump up to `context`: cache, test queries and training queries.
class LayerData {
 public:
  LayerData(const store::DumpReader& dump, int layer, std::int64_t context, int window,
            const AttentionOptions& o, bool train)
      : info_(dump.info()),
        cache_({.layers = 1,
                .kv_heads = static_cast<int>(info_.n_kv_heads),
                .head_dim = static_cast<int>(info_.head_dim),
                .value_dim = static_cast<int>(info_.value_dim),
                .capacity = context,
                .type = info_.dtype == store::DType::kBf16 ? model::KvType::kBf16
                                                           : model::KvType::kF32}) {
    fill_cache(dump, layer, context);
    const std::int64_t split = std::max<std::int64_t>(0, context - window);
    const std::int64_t test_from = std::max<std::int64_t>(split, context - o.queries);
    const auto test = pick_rows(info_, test_from, context, o.queries);
    if (test.empty())
      fail_bad_data(
          {.what = "no queries",
           .file = dump.path(),
           .where = "q_pos",
           .why = fmt::format("no stored query in positions {}..{}", test_from, context - 1),
           .hint = "dump with --queries last:N or all"});
    queries_ = Matrix<float>(test.size(), size(info_.n_heads * info_.head_dim));
    for (const std::int64_t row : test) positions_.push_back(info_.q_pos[size(row)]);
    for (int h = 0; h < info_.n_heads; ++h)
      for (std::size_t i = 0; i < test.size(); ++i)
        std::ranges::copy(dump.read_q(layer, h, test[i], 1).row_span(0),
                          queries_.row(i) + size(h) * size(info_.head_dim));
    if (train) read_training(dump, layer, split, o.sparse.train);
  }

  const model::KvCache& cache() const { return cache_; }
  std::size_t count() const { return positions_.size(); }
  model::AttendInput input(std::size_t i) const {
    return {.layer = 0,
            .pos = positions_[i],
            .q = {queries_.row(i), 1, queries_.cols()},
            .cache = &cache_,
            .scale = static_cast<float>(info_.scale)};
  }
  Matrix<float> training(int head, std::int64_t begin, std::int64_t end) const {
    if (training_.empty()) return {};
    const Matrix<float>& rows = training_[size(head)];
    const auto [first, last] =
        attention::training_rows(training_positions_, begin, end, 2 * rows.cols());
    Matrix<float> copy(last - first, rows.cols());
    std::copy_n(rows.row(first), copy.rows() * copy.cols(), copy.data());
    return copy;
  }
  attention::PlacedQueries budget_queries(int head) const {
    const std::vector<std::size_t> rows = attention::budget_rows(training_positions_);
    attention::PlacedQueries out{Matrix<float>(rows.size(), size(info_.head_dim)), {}};
    for (std::size_t i = 0; i < rows.size(); ++i) {
      std::ranges::copy(training_[size(head)].row_span(rows[i]), out.rows.row(i));
      out.positions.push_back(training_positions_[rows[i]]);
    }
    return out;
  }
  // Softmax mass of query i's head over `keys` and the static ranges, from exact scores.
  double mass(std::size_t i, int head, std::int64_t begin, std::int64_t end,
              const std::vector<std::uint32_t>& keys) const;

 private:
  void fill_cache(const store::DumpReader& dump, int layer, std::int64_t context);
  void read_training(const store::DumpReader& dump, int layer, std::int64_t split,
                     std::int64_t most);

  const store::DumpInfo& info_;
  model::KvCache cache_;
  Matrix<float> queries_;                         // [test queries, heads * head_dim]
  std::vector<std::int64_t> positions_;           // of the test queries
  std::vector<Matrix<float>> training_;           // per head [m, head_dim]
  std::vector<std::int64_t> training_positions_;  // [m]
};

void LayerData::fill_cache(const store::DumpReader& dump, int layer, std::int64_t context) {
  constexpr std::int64_t kBlock = 4096;
  for (std::int64_t first = 0; first < context; first += kBlock) {
    const std::int64_t rows = std::min(kBlock, context - first);
    Matrix<float> k(size(rows), size(info_.n_kv_heads * info_.head_dim));
    Matrix<float> v(size(rows), size(info_.n_kv_heads * info_.value_dim));
    for (int h = 0; h < info_.n_kv_heads; ++h) {
      const Matrix<float> kh = dump.read_k(layer, h, first, rows),
                          vh = dump.read_v(layer, h, first, rows);
      for (std::size_t r = 0; r < size(rows); ++r) {
        std::ranges::copy(kh.row_span(r), k.row(r) + size(h) * kh.cols());
        std::ranges::copy(vh.row_span(r), v.row(r) + size(h) * vh.cols());
      }
    }
    cache_.append(0, k.view(), v.view());
  }
}

void LayerData::read_training(const store::DumpReader& dump, int layer, std::int64_t split,
                              std::int64_t most) {
  const auto rows = pick_rows(info_, 0, split, most);
  for (const std::int64_t row : rows) training_positions_.push_back(info_.q_pos[size(row)]);
  for (int h = 0; h < info_.n_heads && !rows.empty(); ++h) {
    const Matrix<float> all = dump.read_q(layer, h, rows.front(), rows.back() - rows.front() + 1);
    Matrix<float> chosen(rows.size(), all.cols());
    for (std::size_t i = 0; i < rows.size(); ++i)
      std::ranges::copy(all.row_span(size(rows[i] - rows.front())), chosen.row(i));
    training_.push_back(std::move(chosen));
  }
}

double LayerData::mass(std::size_t i, int head, std::int64_t begin, std::int64_t end,
                       const std::vector<std::uint32_t>& keys) const {
  const kernels::KvRows rows =
      cache_.rows(0, static_cast<int>(head * info_.n_kv_heads / info_.n_heads));
  const float* q = queries_.row(i) + size(head) * rows.head_dim;
  std::vector<double> logits(size(positions_[i] + 1));
  std::vector<float> key(rows.head_dim);
  for (std::size_t p = 0; p < logits.size(); ++p) {
    model::widen_key(rows, p, key);
    double dot = 0;
    for (std::size_t d = 0; d < rows.head_dim; ++d) dot += q[d] * key[d];
    logits[p] = dot * info_.scale;
  }
  const double top = *std::max_element(logits.begin(), logits.end());
  double all = 0, kept = 0;
  for (std::size_t p = 0; p < logits.size(); ++p) {
    const double w = std::exp(logits[p] - top);
    all += w;
    if (static_cast<std::int64_t>(p) < begin || static_cast<std::int64_t>(p) >= end) kept += w;
  }
  for (const std::uint32_t p : keys) kept += std::exp(logits[p] - top);
  return kept / all;
}

struct Measured {
  ModeRun run;
  std::unique_ptr<model::AttentionPolicy> policy;
  attention::SparseAttention* sparse = nullptr;
  std::vector<std::vector<double>> ms;  // repetition x query
  model::AttendStats stats;
  std::int64_t calls = 0;
  double cosine = 0, rel_l2 = 0, mass = 0;  // means over queries and heads
};

void compare_output(Measured& m, const LayerData& data, const store::DumpInfo& info, std::size_t i,
                    const Matrix<float>& full, const Matrix<float>& out) {
  const std::size_t dim = size(info.value_dim);
  const double weight = 1.0 / static_cast<double>(data.count() * size(info.n_heads));
  static const std::vector<std::uint32_t> kNone;
  for (int h = 0; h < info.n_heads; ++h) {
    double aa = 0, bb = 0, ab = 0, dd = 0;
    for (std::size_t d = size(h) * dim; d < (size(h) + 1) * dim; ++d) {
      const double a = full.data()[d], b = out.data()[d];
      aa += a * a, bb += b * b, ab += a * b, dd += (a - b) * (a - b);
    }
    m.cosine += weight * ab / std::sqrt(std::max(aa * bb, 1e-300));
    m.rel_l2 += weight * std::sqrt(dd / std::max(aa, 1e-300));
    m.mass += weight *
              (m.sparse == nullptr
                   ? 1.0
                   : data.mass(i, h, m.sparse->indexed_begin(), m.sparse->indexed_end(),
                               m.run.sparse.index ? m.sparse->last_retrieved()[size(h)] : kNone));
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
              {"synthetic", false},
              {"source_sha256", dump.sha256()}};
  add_limits(m.run, r.config);
  std::vector<double> all;
  for (const auto& rep : m.ms) all.insert(all.end(), rep.begin(), rep.end());
  const double median = bench::percentiles(all)["p50"], n = static_cast<double>(m.calls);
  const model::AttendStats& a = m.stats;
  r.metrics = {{"attention_ms", median},
               {"build_ms", m.sparse != nullptr ? m.sparse->totals().build_ms : 0.0},
               {"index_bytes", m.sparse != nullptr ? m.sparse->totals().bytes : 0},
               {"search_ms", a.search_ms / n},
               {"gather_ms", a.gather_ms / n},
               {"static_ms", a.static_ms / n},
               {"merge_ms", a.merge_ms / n},
               {"read_gb_s", static_cast<double>(a.bytes) / n / median / 1e6},
               {"scanned_frac", m.run.mode->dense    ? 1.0
                                : a.indexed_keys > 0 ? static_cast<double>(a.distances) /
                                                           static_cast<double>(a.indexed_keys)
                                                     : 0.0},
               {"attended_mean", static_cast<double>(a.attended_keys) / n /
                                     static_cast<double>(dump.info().n_heads)},
               {"output_cosine", m.cosine},
               {"output_rel_l2", m.rel_l2},
               {"mass_all_frac", m.mass},
               {"work_distances", static_cast<double>(a.distances) / n},
               {"work_bytes", static_cast<double>(a.bytes) / n},
               {"work_hops", static_cast<double>(a.hops) / n}};
  r.samples["attention_ms"] = m.ms;
  return r;
}

std::vector<Measured> measure_layer(const LayerData& data, const store::DumpInfo& info,
                                    const std::vector<ModeRun>& runs, const AttentionOptions& o,
                                    std::uint64_t seed) {
  const attention::AttentionShape shape{
      1, static_cast<int>(info.n_heads), static_cast<int>(info.n_kv_heads),
      static_cast<int>(info.head_dim), static_cast<int>(info.value_dim)};
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
  model::ExactAttention exact;
  Matrix<float> full(1, size(info.n_heads * info.value_dim)), out = Matrix<float>(1, full.cols());
  for (std::size_t i = 0; i < data.count(); ++i) {  // quality; also the warm-up
    exact.attend(data.input(i), full.view());
    for (Measured& m : measured) {
      m.policy->attend(data.input(i), out.view());
      compare_output(m, data, info, i, full, out);
    }
  }
  for (int rep = 0; rep < o.repetitions; ++rep)
    for (std::size_t at = 0; at < measured.size(); ++at) {
      Measured& m = measured[(at + size(rep)) % measured.size()];
      std::vector<double> ms;
      for (std::size_t i = 0; i < data.count(); ++i) {
        const auto start = Clock::now();
        m.stats += m.policy->attend(data.input(i), out.view());
        ms.push_back(ms_since(start));
        ++m.calls;
      }
      m.ms.push_back(std::move(ms));
    }
  return measured;
}

}  // namespace

int run_attention(const AttentionOptions& o, const cli::CommonOptions& common) {
  const std::vector<ModeRun> runs = mode_runs(o.sparse);
  const auto dump = store::DumpReader::open(o.dump);
  const store::DumpInfo& info = dump->info();
  std::vector<std::int64_t> contexts{info.n_tokens};
  if (!o.contexts.empty()) contexts = parse_contexts(o.contexts);
  if (contexts.back() > info.n_tokens)
    fail_bad_data(
        {.what = "context too long",
         .file = o.dump,
         .where = "-c",
         .why = fmt::format("{} tokens, the dump holds {}", contexts.back(), info.n_tokens)});
  check_k(o.sparse, runs, contexts.front());
  const std::vector<int> layers =
      o.layers.empty() ? info.layers
                       : parse_list(o.layers, static_cast<int>(info.n_layers), "--layers");
  for (const int layer : layers) dump->check_layer(layer);
  const bool train = std::any_of(runs.begin(), runs.end(), [](const ModeRun& r) {
    return (r.sparse.index && r.sparse.index->needs_queries) || r.measured;
  });
  bench::ResultWriter out(
      o.sparse.out,
      {.tool = "ra-bench", .pair = o.sparse.pair, .bandwidth_gb_s = bench::read_bandwidth_gb_s()});
  Progress progress("attention", contexts.size() * layers.size(), "layers");
  std::uint64_t done = 0;
  for (const std::int64_t context : contexts)
    for (const int layer : layers) {
      const LayerData data(*dump, layer, context, o.sparse.window, o, train);
      for (const Measured& m : measure_layer(data, info, runs, o, common.seed))
        out.write(result_of(m, *dump, o, common.seed, context, layer));
      progress.update(++done);
    }
  if (o.sparse.out != "-") print_attention_table(out.records(), o.sparse.format);
  return 0;
}

}  // namespace ra::bench_app
