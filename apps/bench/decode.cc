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
#include "apps/bench/generation.h"
#include "apps/bench/layer_table.h"
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
#include "lib/model/load.h"
#include "lib/stats/divergence.h"
#include "lib/stats/quantiles.h"

namespace ra::bench_app {
namespace {

using Clock = std::chrono::steady_clock;

// One mode over one context: what was built and what the repetitions gave.
struct Measured {
  ModePolicy built;
  std::vector<ModePolicy> beside;            // of the other sequences
  std::vector<std::vector<double>> step_ms;  // repetition x step
  model::StepTimes times;                    // sums over all steps
  std::vector<model::StepTimes> layers;      // the same of each layer
  std::int64_t steps = 0;
  std::vector<double> allocations;  // of each step
  kernels::Transfers transfers;
  std::vector<double> kld;
  std::int64_t same_top1 = 0;
  std::vector<std::int32_t> generated;
};

// What the configuration of a record has that only decode knows.
Json own_config(const DecodeOptions& o, std::int64_t context) {
  Json own = {{"context", context}, {"n_decode", o.n_decode}, {"repetitions", o.repetitions}};
  if (o.batch > 1) own["batch"] = o.batch;
  if (o.generate > 0) own["generate"] = o.generate;
  if (o.generate > 0 && o.temperature > 0) own["temperature"] = o.temperature;
  return own;
}

class ContextBench {
 public:
  // The tokenizer is for what is generated, and null if nothing is.
  ContextBench(const DecodeOptions& o, const cli::CommonOptions& common,
               const tokenizer::Tokenizer* tokenizer, ModelContext& context)
      : o_(o),
        seed_(common.seed),
        tokenizer_(tokenizer),
        context_(context),
        prompt_(context.prompt_size()) {}

  // Sequences beside the first have the same prompt, but a cache and indexes of their own: what a
  // step reads is what it would read of other prompts.
  void build(ModePolicies& policies) {
    const auto layers = static_cast<std::size_t>(context_.input().model.config.n_layers);
    for (ModePolicy& built : policies.build())
      measured_.push_back(
          {.built = std::move(built), .layers = std::vector<model::StepTimes>(layers)});
    for (int i = 1; i < o_.batch; ++i) {
      caches_.push_back(std::make_unique<model::KvCache>(context_.cache().shape()));
      caches_.back()->copy_from(context_.cache(), prompt_);
      for (Measured& m : measured_)
        m.beside.push_back(policy_beside(m.built, context_, *caches_.back(), seed_));
    }
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

  // On a device: one step of each mode that is not measured, in which keys and values of the other
  // sequences get there and memory grows to what it needs.
  void warm_up() {
    if (o_.model.on_cpu()) return;
    for (Measured& m : measured_) {
      const std::vector<model::Sequence> sequences = rewound(m);
      const std::vector<std::int32_t> ids(sequences.size(), token(0));
      context_.decoder().step(sequences, ids);
    }
  }

  void measure() {
    Progress progress(fmt::format("decode after {}", prompt_),
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

  void generate() {
    if (tokenizer_ == nullptr) return;
    const model::SamplerOptions sampler{o_.temperature, seed_};
    const auto run = [&](model::AttentionPolicy& policy) {
      return bench_app::generate(context_, policy, token(0), o_.generate, sampler,
                                 tokenizer_->vocab().eos);
    };
    generated_by_full_ = run(context_.exact());
    for (Measured& m : measured_) m.generated = run(*m.built.policy);
  }

  void write(bench::ResultWriter& out, double bandwidth) {
    for (const Measured& m : measured_) out.write(result(m, bandwidth));
  }

 private:
  std::int32_t token(int i) const {
    return context_.input().ids[static_cast<std::size_t>(prompt_ + i)];
  }

  // All sequences of the mode, at the end of the prompt.
  std::vector<model::Sequence> rewound(Measured& m) {
    context_.rewind();
    std::vector<model::Sequence> sequences{{&context_.cache(), m.built.policy.get()}};
    for (std::size_t i = 0; i < caches_.size(); ++i) {
      caches_[i]->truncate(prompt_);
      sequences.push_back({caches_[i].get(), m.beside[i].policy.get()});
    }
    return sequences;
  }

  void repetition(Measured& m, bool with_quality) {
    model::Decoder& decoder = context_.decoder();
    const std::vector<model::Sequence> sequences = rewound(m);
    const auto vocab = static_cast<std::size_t>(context_.input().model.config.vocab_size);
    std::vector<std::int32_t> ids(sequences.size());
    std::vector<double> ms;
    decoder.set_layer_times(&m.layers);
    model::Backend& backend = context_.device().backend();
    const kernels::Transfers transfers = backend.transfers();
    for (int i = 0; i < o_.n_decode; ++i) {
      // The others run the same tokens in another order, and so ask for other keys.
      for (std::size_t s = 0; s < ids.size(); ++s)
        ids[s] = token((i + static_cast<int>(s)) % o_.n_decode);
      model::StepTimes times;
      const std::int64_t before = allocations();
      const auto start = Clock::now();
      const auto all = decoder.step(sequences, ids, &times);
      ms.push_back(ms_since(start));
      m.allocations.push_back(static_cast<double>(allocations() - before));
      m.times += times;
      ++m.steps;
      if (!with_quality) continue;
      const std::span<const float> logits(all.row(0), all.cols);
      const auto full =
          std::span<const float>(reference_).subspan(static_cast<std::size_t>(i) * vocab, vocab);
      m.kld.push_back(stats::kl_divergence(full, logits));
      const auto top = [](std::span<const float> l) {
        return std::max_element(l.begin(), l.end()) - l.begin();
      };
      m.same_top1 += top(full) == top(logits) ? 1 : 0;
    }
    decoder.set_layer_times(nullptr);
    m.transfers += backend.transfers() - transfers;
    m.step_ms.push_back(std::move(ms));
  }

  bench::Result result(const Measured& m, double bandwidth) const;
  Json breakeven(const Measured& m, std::string_view mode, std::string_view index) const;

  const DecodeOptions& o_;
  std::uint64_t seed_;
  const tokenizer::Tokenizer* tokenizer_;
  ModelContext& context_;
  std::int64_t prompt_;
  std::vector<Measured> measured_;
  std::vector<std::unique_ptr<model::KvCache>> caches_;  // of the other sequences
  std::vector<float> reference_;                         // [n_decode, vocab]
  std::vector<std::int32_t> generated_by_full_;
};

std::vector<double> all_ms(const Measured& m) {
  std::vector<double> all;
  for (const auto& rep : m.step_ms) all.insert(all.end(), rep.begin(), rep.end());
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
  const double decode_ms = p["p50"], n = static_cast<double>(m.steps),
               tokens = n * static_cast<double>(o_.batch);
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
  x["decode_tok_s"] = 1000 * o_.batch / decode_ms;
  if (o_.batch > 1) x["token_ms"] = decode_ms / o_.batch;
  if (prefill) {
    add_metrics(*prefill, x);
  } else {
    x["prefill_ms"] = x["prefill_tok_s"] = nullptr;
  }
  add_build_metrics(m.built, context_, x);
  for (const char* bytes : {"index_bytes", "index_key_copy_bytes"})
    x[bytes] = o_.batch * x[bytes].get<std::int64_t>();
  x["breakeven_full_tokens"] = breakeven(m, "full", "");
  x["breakeven_scan_tokens"] = breakeven(m, "knn", "flat:bits=8");
  x["kv_bytes"] =
      static_cast<std::uint64_t>(o_.batch) * model::KvCache::bytes(context_.cache().shape());
  x["peak_rss_bytes"] = peak_rss_bytes();
  x["scanned_frac"] = scanned_frac(m.built.run, a);
  x["attended_mean"] = attended_mean(context_, a, tokens);
  x["read_bytes"] = read_bytes;
  x["read_gb_s"] = read_bytes / decode_ms / 1e6;
  // What the CPU reads is no limit of a device.
  x["bandwidth_frac"] = bandwidth > 0 && o_.model.on_cpu()
                            ? Json(read_bytes / decode_ms / 1e6 / bandwidth)
                            : Json(nullptr);
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
  add_search_times(a, n, x);
  x["static_busy_ms"] = a.static_busy_ms / n;
  x["overlap_ms"] = a.overlap_ms / n;
  x["search_wait_ms"] = a.search_wait_ms / n;
  x["static_wait_ms"] = a.static_wait_ms / n;
  const double busy = a.search_busy_ms + a.static_busy_ms;
  const double wall = a.search_ms + a.static_ms;
  x["overlap_frac"] = busy > 0 && m.built.sparse != nullptr ? std::max(0.0, 1 - wall / busy) : 0.0;
  if (!o_.model.on_cpu()) {
    x["transfer_ms"] = m.transfers.ms / n;
    x["transfer_to_device_bytes"] = static_cast<double>(m.transfers.to_device_bytes) / n;
    x["transfer_to_host_bytes"] = static_cast<double>(m.transfers.to_host_bytes) / n;
  }
  x["same_top1_frac"] = static_cast<double>(m.same_top1) / static_cast<double>(o_.n_decode);
  x["kld_mean"] =
      std::accumulate(m.kld.begin(), m.kld.end(), 0.0) / static_cast<double>(m.kld.size());
  x["work_distances"] = static_cast<double>(a.distances) / tokens;
  x["work_bytes"] = static_cast<double>(a.bytes) / tokens;
  x["work_hops"] = static_cast<double>(a.hops) / tokens;
  // Of an ordinary step: in some a buffer grows, in which depends on the thread that gets a task.
  x["work_allocs"] = stats::quantile(m.allocations, 0.5) / static_cast<double>(o_.batch);
  r.samples["decode_ms"] = m.step_ms;
  r.samples["kld"] = {m.kld};
  if (o_.per_layer) r.extra["layers"] = layers_json(context_.input().model.config, m.layers, n);
  if (tokenizer_ != nullptr)
    r.extra["generated"] = generated_json(m.generated, generated_by_full_, *tokenizer_);
  return r;
}

}  // namespace

int run_decode(const DecodeOptions& o, const cli::CommonOptions& common) {
  const std::vector<ModeRun> wanted = mode_runs(o.sparse, o.model.on_cpu());
  const std::vector<std::int64_t> contexts = parse_contexts(o.model.contexts);
  for (const std::int64_t c : contexts)
    if (c <= o.n_decode)
      fail_usage("-c", fmt::format("{} leaves no prompt before {} decoded tokens", c, o.n_decode));
  check_k(o.sparse, wanted, contexts.front() - o.n_decode);
  cli::check(o.model.rope);
  const std::uint64_t limit = memory_limit(common.memory_limit);
  // Positions that free generation takes beyond the others.
  const std::int64_t more = std::max(0, o.generate + 1 - o.n_decode);
  const ModelInput in = read_model_input(o.model, common, contexts.back() + more, contexts.back());
  std::unique_ptr<tokenizer::Tokenizer> tokenizer;
  if (o.generate > 0) tokenizer = tokenizer::Tokenizer::create(model::load_vocab(*in.file));
  const MemoryPlan plan(
      o.model, o.sparse, in, limit, o.batch,
      {{"reference logits", static_cast<std::uint64_t>(o.n_decode) *
                                static_cast<std::uint64_t>(in.model.config.vocab_size) *
                                sizeof(float)}});
  plan.check(wanted, contexts.front() + more);
  std::int64_t longest = 0;
  for (const std::int64_t c : contexts)
    if (!plan.fitting(wanted, c + more).runs.empty()) longest = c - o.n_decode;
  const auto snapshot = open_snapshot(o.model, in, in.ids, longest);
  const auto kv_lock = claim_snapshot(o.model, o.sparse, in, longest);
  const double bandwidth = bench::read_bandwidth_gb_s();
  bench::ResultWriter out(o.sparse.out,
                          {.tool = "ra-bench", .pair = o.sparse.pair, .bandwidth_gb_s = bandwidth});
  for (const std::int64_t length : contexts) {
    const std::int64_t prompt = length - o.n_decode;
    const auto [runs, refused] = plan.fitting(wanted, length + more);
    if (!runs.empty()) {
      ModelContext context(o.model, o.sparse, in,
                           std::span(in.ids).first(static_cast<std::size_t>(prompt)), length + more,
                           o.batch);
      ModePolicies policies(runs, context, common.seed);
      if (snapshot)
        context.restore(runs, *snapshot);
      else
        context.prefill(runs, prompt == longest ? o.model.kv_out : "", [&] {
          if (o.build == "during") policies.build_complete();
        });
      ContextBench bench(o, common, tokenizer.get(), context);
      bench.build(policies);
      bench.reference();
      bench.warm_up();
      bench.measure();
      bench.generate();
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
    print_layer_table(out.records(), o.sparse.format);
    print_generated(out.records(), o.sparse.format);
    print_failure_signs(out.records(), o.sparse.format);
  }
  return 0;
}

}  // namespace ra::bench_app
