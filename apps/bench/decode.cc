// SPDX-License-Identifier: Apache-2.0
// ra-bench decode: token by token on the real model over a prefilled context, modes interleaved.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <numeric>

#include "apps/bench/alloc_counter.h"
#include "apps/bench/decode_table.h"
#include "apps/bench/failure_list.h"
#include "apps/bench/memory_plan.h"
#include "apps/bench/mode_policy.h"
#include "apps/bench/model_context.h"
#include "apps/bench/options.h"
#include "lib/bench/results.h"
#include "lib/bench/roofline.h"
#include "lib/core/clock.h"
#include "lib/core/error.h"
#include "lib/core/memory.h"
#include "lib/core/progress.h"
#include "lib/model/cost.h"
#include "lib/stats/divergence.h"

namespace ra::bench_app {
namespace {

using Clock = std::chrono::steady_clock;

// One mode over one context: what was built and what the repetitions gave.
struct Measured {
  ModePolicy built;
  std::vector<std::vector<double>> token_ms;  // repetition x token
  model::StepTimes times;                     // sums over all tokens
  std::int64_t tokens = 0, allocations = 0;
  std::vector<double> kld;
  std::int64_t same_top1 = 0;
};

model::StepTimes& operator+=(model::StepTimes& a, const model::StepTimes& b) {
  a.qkv_ms += b.qkv_ms;
  a.attend_ms += b.attend_ms;
  a.proj_ms += b.proj_ms;
  a.ffn_ms += b.ffn_ms;
  a.head_ms += b.head_ms;
  a.other_ms += b.other_ms;
  a.attend += b.attend;
  return a;
}

// What the configuration of a record has that only decode knows.
Json own_config(const DecodeOptions& o, std::int64_t context) {
  return {{"context", context}, {"n_decode", o.n_decode}, {"repetitions", o.repetitions}};
}

class ContextBench {
 public:
  ContextBench(const DecodeOptions& o, const cli::CommonOptions& common, ModelContext& context)
      : o_(o), seed_(common.seed), context_(context), prompt_(context.prompt_size()) {}

  void build(ModePolicies& policies) {
    for (ModePolicy& built : policies.build()) measured_.push_back({.built = std::move(built)});
  }

  // Full attention on the same tokens first: the reference of quality, never of time.
  void reference() {
    model::Decoder& decoder = context_.decoder();
    decoder.set_attention(context_.exact());
    context_.rewind();
    for (int i = 0; i < o_.n_decode; ++i) {
      const auto logits = decoder.step(token(i));
      reference_.insert(reference_.end(), logits.begin(), logits.end());
    }
  }

  void measure() {
    Progress progress(fmt::format("decode at {}", prompt_ + o_.n_decode),
                      static_cast<std::uint64_t>(o_.repetitions) * measured_.size(), "runs");
    std::uint64_t done = 0;
    for (int r = 0; r < o_.repetitions; ++r)
      for (std::size_t i = 0; i < measured_.size(); ++i) {
        // Rotated order: no mode always runs after the same one.
        Measured& m = measured_[(i + static_cast<std::size_t>(r)) % measured_.size()];
        repetition(m, r == 0);
        progress.update(++done, std::string(m.built.run.mode->name));
      }
  }

  void write(bench::ResultWriter& out, double bandwidth) {
    for (const Measured& m : measured_) out.write(result(m, bandwidth));
  }

 private:
  std::int32_t token(int i) const {
    return context_.input().ids[static_cast<std::size_t>(prompt_ + i)];
  }

  void repetition(Measured& m, bool with_quality) {
    model::Decoder& decoder = context_.decoder();
    decoder.set_attention(*m.built.policy);
    context_.rewind();
    const auto vocab = static_cast<std::size_t>(context_.input().model.config.vocab_size);
    std::vector<double> ms;
    for (int i = 0; i < o_.n_decode; ++i) {
      model::StepTimes times;
      const std::int64_t before = allocations();
      const auto start = Clock::now();
      const auto logits = decoder.step(token(i), &times);
      ms.push_back(ms_since(start));
      m.allocations += allocations() - before;
      m.times += times;
      ++m.tokens;
      if (!with_quality) continue;
      const auto full =
          std::span<const float>(reference_).subspan(static_cast<std::size_t>(i) * vocab, vocab);
      m.kld.push_back(stats::kl_divergence(full, logits));
      const auto top = [](std::span<const float> l) {
        return std::max_element(l.begin(), l.end()) - l.begin();
      };
      m.same_top1 += top(full) == top(logits) ? 1 : 0;
    }
    m.token_ms.push_back(std::move(ms));
  }

  bench::Result result(const Measured& m, double bandwidth) const;
  Json breakeven(const Measured& m, std::string_view mode, std::string_view index) const;

  const DecodeOptions& o_;
  std::uint64_t seed_;
  ModelContext& context_;
  std::int64_t prompt_;
  std::vector<Measured> measured_;
  std::vector<float> reference_;  // [n_decode, vocab]
};

std::vector<double> all_ms(const Measured& m) {
  std::vector<double> all;
  for (const auto& rep : m.token_ms) all.insert(all.end(), rep.begin(), rep.end());
  return all;
}

double median_ms(const Measured& m) { return bench::percentiles(all_ms(m))["p50"]; }

// Tokens after which the build of `m` is paid back beside a mode of the same run whose index spec
// begins with `index`. Null if that was not run or is not slower.
Json ContextBench::breakeven(const Measured& m, std::string_view mode,
                             std::string_view index) const {
  if (m.built.sparse == nullptr || m.built.sparse->index_count() == 0) return nullptr;
  for (const Measured& other : measured_) {
    if (other.built.run.mode->name != mode || !other.built.run.index_text.starts_with(index))
      continue;
    const double saved = median_ms(other) - median_ms(m);
    if (saved > 0) return m.built.sparse->totals().build_ms / saved;
  }
  return nullptr;
}

bench::Result ContextBench::result(const Measured& m, double bandwidth) const {
  bench::Result r;
  r.kind = "decode";
  r.config = model_config(o_.model, o_.sparse, context_.input(), &context_, m.built.run, seed_,
                          own_config(o_, prompt_ + o_.n_decode));
  const auto& prefill = context_.prefill_run();
  if (!prefill) r.status_detail = "keys and values of the prompt come from a snapshot";
  const std::vector<double> all = all_ms(m);
  const Json p = bench::percentiles(all);
  const double decode_ms = p["p50"], n = static_cast<double>(m.tokens);
  const double mean_ms = std::accumulate(all.begin(), all.end(), 0.0) / n;
  const model::AttendStats& a = m.times.attend;
  // Parts are shares of the mean step, given in units of the median step: they sum to decode_ms.
  const auto part = [&](double total_ms) { return total_ms / n / mean_ms * decode_ms; };
  const double attend_rest =
      std::max(0.0, m.times.attend_ms - a.search_ms - a.gather_ms - a.static_ms - a.merge_ms);
  const double read_bytes =
      static_cast<double>(model::weight_bytes(context_.input().model.weights)) +
      static_cast<double>(a.bytes) / n;
  Json& x = r.metrics;
  x["decode_ms"] = decode_ms;
  x["decode_tok_s"] = 1000 / decode_ms;
  if (prefill) {
    add_metrics(*prefill, x);
  } else {
    x["prefill_ms"] = x["prefill_tok_s"] = nullptr;
  }
  add_build_metrics(m.built, context_, x);
  x["breakeven_full_tokens"] = breakeven(m, "full", "");
  x["breakeven_scan_tokens"] = breakeven(m, "knn", "flat:bits=8");
  x["kv_bytes"] = model::KvCache::bytes(context_.cache().shape());
  x["peak_rss_bytes"] = peak_rss_bytes();
  x["scanned_frac"] = scanned_frac(m.built.run, a);
  x["attended_mean"] = attended_mean(context_, a, n);
  x["read_bytes"] = read_bytes;
  x["read_gb_s"] = read_bytes / decode_ms / 1e6;
  x["bandwidth_frac"] =
      bandwidth > 0 ? Json(read_bytes / decode_ms / 1e6 / bandwidth) : Json(nullptr);
  x["qkv_ms"] = part(m.times.qkv_ms);
  x["search_ms"] = part(a.search_ms);
  x["grow_ms"] = part(a.grow_ms);
  x["gather_ms"] = part(a.gather_ms);
  x["static_ms"] = part(a.static_ms);
  x["merge_ms"] = part(a.merge_ms);
  x["proj_ms"] = part(m.times.proj_ms);
  x["ffn_ms"] = part(m.times.ffn_ms);
  x["head_ms"] = part(m.times.head_ms);
  const double named = m.times.qkv_ms + m.times.attend_ms - attend_rest + m.times.proj_ms +
                       m.times.ffn_ms + m.times.head_ms;
  x["other_ms"] = decode_ms - part(named);
  x["search_busy_ms"] = a.search_busy_ms / n;
  x["static_busy_ms"] = a.static_busy_ms / n;
  const double busy = a.search_busy_ms + a.static_busy_ms;
  const double wall = a.search_ms + a.static_ms;
  x["overlap_frac"] = busy > 0 && m.built.sparse != nullptr ? std::max(0.0, 1 - wall / busy) : 0.0;
  x["same_top1_frac"] = static_cast<double>(m.same_top1) / static_cast<double>(o_.n_decode);
  x["kld_mean"] =
      std::accumulate(m.kld.begin(), m.kld.end(), 0.0) / static_cast<double>(m.kld.size());
  x["work_distances"] = static_cast<double>(a.distances) / n;
  x["work_bytes"] = static_cast<double>(a.bytes) / n;
  x["work_hops"] = static_cast<double>(a.hops) / n;
  x["work_allocs"] = static_cast<double>(m.allocations) / n;
  r.samples["decode_ms"] = m.token_ms;
  r.samples["kld"] = {m.kld};
  return r;
}

}  // namespace

int run_decode(const DecodeOptions& o, const cli::CommonOptions& common) {
  const std::vector<ModeRun> wanted = mode_runs(o.sparse);
  const std::vector<std::int64_t> contexts = parse_contexts(o.model.contexts);
  for (const std::int64_t c : contexts)
    if (c <= o.n_decode)
      fail_usage("-c", fmt::format("{} leaves no prompt before {} decoded tokens", c, o.n_decode));
  check_k(o.sparse, wanted, contexts.front() - o.n_decode);
  cli::check(o.model.rope);
  const std::uint64_t limit = memory_limit(common.memory_limit);
  const ModelInput in = read_model_input(o.model, common, contexts.back(), contexts.back());
  const MemoryPlan plan(
      o.model, o.sparse, in, limit,
      {{"reference logits", static_cast<std::uint64_t>(o.n_decode) *
                                static_cast<std::uint64_t>(in.model.config.vocab_size) *
                                sizeof(float)}});
  plan.check(wanted, contexts.front());
  std::int64_t longest = 0;
  for (const std::int64_t c : contexts)
    if (!plan.fitting(wanted, c).runs.empty()) longest = c - o.n_decode;
  const auto snapshot = open_snapshot(o.model, in, in.ids, longest);
  const auto kv_lock = claim_snapshot(o.model, o.sparse, in, longest);
  const double bandwidth = bench::read_bandwidth_gb_s();
  bench::ResultWriter out(o.sparse.out,
                          {.tool = "ra-bench", .pair = o.sparse.pair, .bandwidth_gb_s = bandwidth});
  for (const std::int64_t length : contexts) {
    const std::int64_t prompt = length - o.n_decode;
    const auto [runs, refused] = plan.fitting(wanted, length);
    if (!runs.empty()) {
      ModelContext context(o.model, o.sparse, in,
                           std::span(in.ids).first(static_cast<std::size_t>(prompt)), length);
      ModePolicies policies(runs, context, common.seed);
      if (snapshot)
        context.restore(runs, *snapshot);
      else
        context.prefill(runs, prompt == longest ? o.model.kv_out : "", [&] {
          if (o.build == "during") policies.build_complete();
        });
      ContextBench bench(o, common, context);
      bench.build(policies);
      bench.reference();
      bench.measure();
      bench.write(out, bandwidth);
    }
    for (const RefusedMode& mode : refused)
      out.write(skipped_result("decode",
                               model_config(o.model, o.sparse, in, nullptr, mode.run, common.seed,
                                            own_config(o, length)),
                               mode));
  }
  in.file->check_unchanged();
  if (o.sparse.out != "-") {
    print_prefill_table(out.records(), o.sparse.format);
    print_decode_table(out.records(), o.sparse.format);
    print_failure_signs(out.records(), o.sparse.format);
  }
  return 0;
}

}  // namespace ra::bench_app
