// SPDX-License-Identifier: Apache-2.0
// ra-recall growth: what an index finds while decoding goes on. The last positions of a dump are
// decoded again with their own queries, keys and values; keys that leave the window wait in a
// buffer that is scanned (never), enter the index as segments (flushed), or are indexed anew with
// all others at the same positions (rebuilt).
#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "apps/recall/indexing.h"
#include "apps/recall/selection.h"
#include "lib/attention/query_moments.h"
#include "lib/attention/sparse.h"
#include "lib/bench/results.h"
#include "lib/bench/table.h"
#include "lib/core/error.h"
#include "lib/core/progress.h"
#include "lib/index/best_hits.h"
#include "lib/stats/quantiles.h"

namespace ra::recall {
namespace {

std::size_t size(auto n) { return static_cast<std::size_t>(n); }

enum class Variant : std::uint8_t { kNever, kFlushed, kRebuilt };
constexpr std::pair<Variant, const char*> kVariants[] = {
    {Variant::kNever, "never"}, {Variant::kFlushed, "flushed"}, {Variant::kRebuilt, "rebuilt"}};

// The vectors of one layer, as a decoder meets them.
struct LayerVectors {
  Matrix<float> q, k, v;  // [tokens, heads * head_dim], ...
  model::KvCache cache;   // the prompt, and then all
  attention::QueryMoments moments;

  LayerVectors(const store::DumpReader& dump, int layer, std::int64_t prompt, std::int64_t span)
      : q(gather_heads(dump.info(), dump.info().n_heads, dump.info().head_dim,
                       [&](int h, std::int64_t n) { return dump.read_q(layer, h, 0, n); })),
        k(gather_heads(dump.info(), dump.info().n_kv_heads, dump.info().head_dim,
                       [&](int h, std::int64_t n) { return dump.read_k(layer, h, 0, n); })),
        v(gather_heads(dump.info(), dump.info().n_kv_heads, dump.info().value_dim,
                       [&](int h, std::int64_t n) { return dump.read_v(layer, h, 0, n); })),
        cache(shape(dump.info())),
        moments(config(dump.info()), span) {
    append(cache, prompt);
    moments.on_qkv(
        {.layer = 0, .pos = 0, .q = q.view().row_range(0, size(prompt)), .k = {}, .v = {}});
  }

  // Fills a cache up to position `end`.
  void append(model::KvCache& to, std::int64_t end) const {
    const std::size_t first = size(to.size(0)), count = size(end) - first;
    to.append(0, k.view().row_range(first, count), v.view().row_range(first, count));
  }
  attention::TrainingOf training() const {
    return [this](int, int head, std::int64_t begin, std::int64_t end) {
      return attention::Training{{}, moments.mean(0, head, begin, end)};
    };
  }

  static model::KvCache::Shape shape(const store::DumpInfo& info) {
    return {.layers = 1,
            .kv_heads = static_cast<int>(info.n_kv_heads),
            .head_dim = static_cast<int>(info.head_dim),
            .value_dim = static_cast<int>(info.value_dim),
            .capacity = info.n_tokens,
            .type = model::KvType::kF32};
  }
  static model::Config config(const store::DumpInfo& info) {
    model::Config c;
    c.n_layers = 1;
    c.n_heads = static_cast<int>(info.n_heads);
    c.head_dim = static_cast<int>(info.head_dim);
    return c;
  }
  template <class Read>
  static Matrix<float> gather_heads(const store::DumpInfo& info, std::int64_t heads,
                                    std::int64_t dim, const Read& read) {
    Matrix<float> all(size(info.n_tokens), size(heads * dim));
    for (int h = 0; h < heads; ++h) {
      const Matrix<float> rows = read(h, info.n_tokens);
      for (std::size_t i = 0; i < rows.rows(); ++i)
        std::ranges::copy(rows.row_span(i), all.row(i) + size(h) * size(dim));
    }
    return all;
  }
};

// What was found at one position, means over heads.
struct Point {
  double position = 0, recall = 0, recall_old = 0, mass = 0, scanned = 0;
  double recall_new = 0, new_frac = 0;  // NaN and 0 where the top k of no head holds a new key
};

// The exact top k of a step's keys outside sink and window, and the softmax over all it sees.
struct ExactStep {
  std::vector<std::vector<float>> logits;       // [heads][positions]
  std::vector<std::vector<std::uint32_t>> top;  // [heads][k], ascending
};

ExactStep exact_step(const LayerVectors& v, const store::DumpInfo& info, const Options& o,
                     std::int64_t pos) {
  ExactStep e{std::vector<std::vector<float>>(size(info.n_heads)),
              std::vector<std::vector<std::uint32_t>>(size(info.n_heads))};
  const std::size_t n = size(pos + 1), dim = size(info.head_dim), first = size(o.sink),
                    count = size(pos - o.window - o.sink);
  index::CutScratch cut;
  for (std::size_t h = 0; h < e.logits.size(); ++h) {
    const kernels::KvRows rows = v.cache.rows(
        0, static_cast<int>(static_cast<std::int64_t>(h) * info.n_kv_heads / info.n_heads));
    e.logits[h].resize(n);
    model::score_keys(rows, v.q.row(size(pos)) + h * dim, e.logits[h]);
    for (const std::uint32_t at :
         index::cut(std::span(e.logits[h]).subspan(first, count), size(o.k), cut))
      e.top[h].push_back(at + static_cast<std::uint32_t>(first));
    for (float& logit : e.logits[h]) logit *= static_cast<float>(info.scale);
  }
  return e;
}

// `old` ends the positions of the prompt that were indexed.
Point judge(const ExactStep& e, const std::vector<std::vector<std::uint32_t>>& found,
            const Options& o, std::int64_t pos, std::int64_t old) {
  Point p{.position = static_cast<double>(pos)};
  const auto heads = static_cast<double>(e.top.size());
  double hit[2] = {}, all[2] = {};
  for (std::size_t h = 0; h < e.top.size(); ++h) {
    std::vector<std::uint32_t> ids = found[h];
    std::ranges::sort(ids);
    for (const std::uint32_t id : e.top[h]) {
      const bool is_new = id >= old;
      ++all[is_new];
      hit[is_new] += std::ranges::binary_search(ids, id) ? 1 : 0;
    }
    const auto& logits = e.logits[h];
    const double most = static_cast<double>(*std::ranges::max_element(logits));
    double sum = 0, kept = 0;
    for (std::size_t i = 0; i < logits.size(); ++i) {
      const double w = std::exp(static_cast<double>(logits[i]) - most);
      sum += w;
      if (i < size(o.sink) || i >= size(pos - o.window)) kept += w;
    }
    for (const std::uint32_t id : ids) kept += std::exp(static_cast<double>(logits[id]) - most);
    p.mass += kept / sum / heads;
  }
  p.recall = (hit[0] + hit[1]) / (all[0] + all[1]);
  p.recall_old = hit[0] / all[0];
  p.recall_new = all[1] > 0 ? hit[1] / all[1] : std::nan("");
  p.new_frac = all[1] / (all[0] + all[1]);
  return p;
}

class Growth {
 public:
  explicit Growth(const Options& o) : o_(o), dump_(store::DumpReader::open(o.input)) {
    const store::DumpInfo& info = dump_->info();
    prompt_ = info.n_tokens - o.decoded;
    if (prompt_ - o.sink - o.window < o.k)
      fail_usage("--decoded", fmt::format("{} of {} tokens leave no {} keys to index", o.decoded,
                                          info.n_tokens, o.k));
    if (std::ssize(info.q_pos) != info.n_tokens)
      fail_bad_data(
          {.what = "queries are missing",
           .file = o.input,
           .where = "q_pos",
           .why = fmt::format("{} of {} positions have one", info.q_pos.size(), info.n_tokens),
           .hint = "dump with --queries all"});
    selection_.first_key = o.sink;
    selection_.last_key = prompt_ - o.window - 1;
    layers_ = choose_layers(*dump_, o);
    for (const index::IndexSpec& spec : parse_indexes(o, selection_.n_keys())) {
      if (spec.segment == 0)
        fail_usage("--index", fmt::format("'{}' cannot grow", spec.spec.name), "can: qivf");
      if (spec.efforts.size() != 1)
        fail_usage("--index",
                   fmt::format("{}: give one {}", spec.spec.text(), spec.type->effort_key));
      specs_.push_back(spec);
    }
  }

  int run() {
    bench::ResultWriter writer(o_.out, {.tool = "ra-recall"});
    Progress progress("growth", layers_.size() * specs_.size() * std::size(kVariants), "runs");
    std::uint64_t done = 0;
    for (const int layer : layers_)
      for (const index::IndexSpec& spec : specs_) {
        LayerVectors v(*dump_, layer, prompt_, static_cast<std::int64_t>(spec.segment));
        std::map<std::int64_t, ExactStep> exact;
        for (const auto& [variant, name] : kVariants) {
          stop_if_interrupted();
          writer.write(run_variant(v, layer, spec, variant, name, exact));
          progress.update(++done);
        }
      }
    if (o_.out != "-") fmt::print("{}", table(writer.records()));
    return 0;
  }

 private:
  attention::SparseAttention make(const index::IndexSpec& spec, Variant variant) const {
    const store::DumpInfo& info = dump_->info();
    return {{.layers = 1,
             .heads = static_cast<int>(info.n_heads),
             .kv_heads = static_cast<int>(info.n_kv_heads),
             .head_dim = static_cast<int>(info.head_dim),
             .value_dim = static_cast<int>(info.value_dim),
             .windowed = {}},
            {.sink = o_.sink,
             .window = o_.window,
             .k = o_.k,
             .effort = spec.efforts.front(),
             .flush = variant == Variant::kFlushed ? o_.flush : 0,
             .index = spec}};
  }

  bench::Result run_variant(LayerVectors& v, int layer, const index::IndexSpec& spec,
                            Variant variant, const char* name,
                            std::map<std::int64_t, ExactStep>& exact) const {
    const store::DumpInfo& info = dump_->info();
    // Indexes are built over the tokens a cache holds; searches go to positions beyond them.
    model::KvCache cache(LayerVectors::shape(info));
    v.append(cache, prompt_);
    auto policy = std::make_unique<attention::SparseAttention>(make(spec, variant));
    policy->build(cache, v.training(), o_.common.seed);
    const double build_ms = policy->totals().build_ms;
    double rebuild_ms = 0, grow_ms = 0;
    std::int64_t built = prompt_;
    std::vector<Point> points;
    Matrix<float> out(1, size(info.n_heads * info.value_dim));
    for (std::int64_t pos = prompt_; pos < info.n_tokens; ++pos) {
      if (variant == Variant::kRebuilt && pos - built >= o_.flush) {
        built += o_.flush;
        v.append(cache, built);
        policy = std::make_unique<attention::SparseAttention>(make(spec, variant));
        policy->build(cache, v.training(), o_.common.seed);
        rebuild_ms += policy->totals().build_ms;
      }
      if ((pos - prompt_) % o_.every != 0 && pos + 1 < info.n_tokens) continue;
      if (v.cache.size(0) <= pos) v.append(v.cache, info.n_tokens);
      if (variant != Variant::kRebuilt && cache.size(0) <= pos) v.append(cache, info.n_tokens);
      if (cache.size(0) <= pos) v.append(cache, pos + 1);
      const model::AttendStats stats = policy->attend({.layer = 0,
                                                       .pos = pos,
                                                       .q = v.q.view().row_range(size(pos), 1),
                                                       .cache = &cache,
                                                       .scale = static_cast<float>(info.scale)},
                                                      out.view());
      grow_ms += stats.grow_ms;
      if (!exact.contains(pos)) exact.emplace(pos, exact_step(v, info, o_, pos));
      Point p = judge(exact.at(pos), policy->last_retrieved(), o_, pos, prompt_ - o_.window);
      p.scanned = static_cast<double>(stats.distances) / static_cast<double>(stats.indexed_keys);
      points.push_back(p);
    }
    return record(layer, spec, name, points, build_ms,
                  variant == Variant::kRebuilt ? rebuild_ms : grow_ms);
  }

  bench::Result record(int layer, const index::IndexSpec& spec, const char* name,
                       const std::vector<Point>& points, double build_ms, double grow_ms) const {
    bench::Result r;
    r.kind = "growth";
    r.config = base_config(*dump_, selection_, o_);
    r.config.update({{"layer", layer},
                     {"index", spec.build_text()},
                     {"search", search_text(spec, spec.efforts.front())},
                     {"k", o_.k},
                     {"sink", o_.sink},
                     {"window", o_.window},
                     {"decoded", o_.decoded},
                     {"flush", o_.flush},
                     {"growth", name}});
    const std::pair<const char*, double Point::*> fields[] = {
        {"recall_id", &Point::recall},      {"recall_old", &Point::recall_old},
        {"recall_new", &Point::recall_new}, {"new_frac", &Point::new_frac},
        {"mass_all_frac", &Point::mass},    {"scanned_frac", &Point::scanned}};
    for (const auto& [field, member] : fields) {
      std::vector<double> values, positions;
      for (const Point& p : points) {
        if (std::isnan(p.*member)) continue;
        values.push_back(p.*member);
        positions.push_back(p.position);
      }
      r.metrics[field] = values.empty() ? std::nan("") : stats::mean(values);
      r.samples[member == &Point::recall_new ? "position_new" : "position"] = {positions};
      r.samples[field] = {std::move(values)};
    }
    r.metrics["build_ms"] = build_ms;
    r.metrics["grow_ms"] = grow_ms;
    return r;
  }

  std::string table(const std::vector<Json>& records) const {
    bench::Table t({"<index", "<growth", "layers", "recall %", "old %", "new %", "last new %",
                    "mass %", "scanned %", "build ms", "grow ms"});
    ShortNames names(o_.format);
    for (const index::IndexSpec& spec : specs_)
      for (const auto& [variant, name] : kVariants) {
        std::size_t n = 0;
        std::map<std::string, double> sum;
        for (const Json& r : records) {
          if (r["config"]["growth"] != name || r["config"]["index"] != spec.build_text()) continue;
          ++n;
          for (const auto& [metric, value] : r["metrics"].items())
            sum[metric] += value.is_null() ? 0 : value.get<double>();
          sum["last"] += r["percentiles"]["recall_new"]["min"].get<double>();
        }
        const auto mean = [&](const char* m, double scale = 100) {
          return fmt::format("{:.2f}", scale * sum[m] / static_cast<double>(n));
        };
        t.add({names.of(spec.build_text()), name, fmt::format("{}", n), mean("recall_id"),
               mean("recall_old"), mean("recall_new"), mean("last"), mean("mass_all_frac"),
               mean("scanned_frac"), mean("build_ms", 1), mean("grow_ms", 1)});
      }
    return t.render(o_.format) + names.legend();
  }

  const Options& o_;
  std::unique_ptr<store::DumpReader> dump_;
  std::int64_t prompt_ = 0;
  Selection selection_;
  std::vector<int> layers_;
  std::vector<index::IndexSpec> specs_;
};

}  // namespace

void bind_growth(CLI::App& root, Options& o, Chosen& chosen) {
  CLI::App* command = root.add_subcommand(
      "growth", "Recall and attention mass of an index that takes in decoded keys, by position");
  bind_input(*command, o);
  bind_layers(*command, o);
  bind_sink(*command, o);
  command->add_option("--window", o.window, "Last positions that are always attended")
      ->check(CLI::Range(1, 1 << 30))
      ->capture_default_str();
  command->add_option("--decoded", o.decoded, "Last positions of the dump that are decoded again")
      ->check(CLI::Range(1, 1 << 30))
      ->capture_default_str();
  command->add_option("--flush", o.flush, "Keys that leave the window before they are indexed")
      ->check(CLI::Range(1, 1 << 30))
      ->capture_default_str();
  command->add_option("--every", o.every, "Measure each so-many-th decoded position, and the last")
      ->check(CLI::Range(1, 1 << 30))
      ->capture_default_str();
  bind_index(*command, o);
  bind_k(*command, o);
  bind_records(*command, o);
  command->callback([&] { chosen = [&o] { return Growth(o).run(); }; });
}

}  // namespace ra::recall
