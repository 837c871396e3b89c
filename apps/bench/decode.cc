// SPDX-License-Identifier: Apache-2.0
// ra-bench decode: token by token on the real model over a prefilled context, modes interleaved.
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <memory>
#include <numeric>
#include <optional>

#include "apps/bench/alloc_counter.h"
#include "apps/bench/decode_table.h"
#include "apps/bench/options.h"
#include "apps/bench/prefill_run.h"
#include "lib/attention/train_queries.h"
#include "lib/bench/results.h"
#include "lib/bench/roofline.h"
#include "lib/core/error.h"
#include "lib/core/hash.h"
#include "lib/core/memory.h"
#include "lib/core/output_file.h"
#include "lib/core/parallel.h"
#include "lib/core/progress.h"
#include "lib/core/text_file.h"
#include "lib/gguf/reader.h"
#include "lib/model/cost.h"
#include "lib/model/cpu_backend.h"
#include "lib/model/decoder.h"
#include "lib/model/exact_attention.h"
#include "lib/model/kv_snapshot.h"
#include "lib/model/load.h"
#include "lib/model/rope.h"
#include "lib/model/sampler.h"
#include "lib/stats/divergence.h"
#include "lib/tokenizer/tokenizer.h"

namespace ra::bench_app {
namespace {

using Clock = std::chrono::steady_clock;

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

struct Input {
  std::unique_ptr<gguf::File> file;
  model::Model model;
  std::vector<std::int32_t> ids;
  std::string sha256;  // of the token ids' source
};

Input read_input(const DecodeOptions& o, const cli::CommonOptions& common, std::int64_t longest) {
  Input in;
  in.file = gguf::File::open(
      o.model, {.mode = o.load_mode == "mmap" ? gguf::LoadMode::kMmap : gguf::LoadMode::kRead,
                .check_tensors = o.check_tensors == "on"});
  cli::warn(common, in.file->warnings());
  in.model = model::load(*in.file, {.rope_scaling = cli::override_of(o.rope)});
  if (longest > in.model.config.context_length && !o.rope.extends())
    fail_bad_data({.what = "context too long",
                   .file = o.model,
                   .where = "-c",
                   .why = fmt::format("{} tokens, the model's context holds {}", longest,
                                      in.model.config.context_length),
                   .hint = "--rope-scaling extends the context"});
  if (o.text.empty() && o.tokens_file.empty())
    fail_usage("-f", "no text", "give -f or --tokens-file");
  if (!o.tokens_file.empty()) {
    in.ids = read_ids_file(o.tokens_file);
    for (const std::int32_t id : in.ids)
      if (id < 0 || id >= in.model.config.vocab_size)
        fail_bad_data({.what = "bad token id",
                       .file = o.tokens_file,
                       .why = fmt::format("{} is not in the vocabulary of {}", id,
                                          in.model.config.vocab_size)});
    in.sha256 = sha256_file(o.tokens_file);
  } else {
    const auto tokenizer = tokenizer::Tokenizer::create(model::load_vocab(*in.file));
    in.ids = tokenizer->encode(
        read_text_file(o.text, o.utf8 == "replace" ? Utf8::kReplace : Utf8::kStrict));
    in.sha256 = sha256_file(o.text);
  }
  if (static_cast<std::int64_t>(in.ids.size()) < longest)
    fail_bad_data({.what = "text too short",
                   .file = o.text.empty() ? o.tokens_file : o.text,
                   .where = "-c",
                   .why = fmt::format("{} tokens, {} needed", in.ids.size(), longest)});
  return in;
}

std::int64_t peak_rss_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return std::int64_t{usage.ru_maxrss} * 1024;
}

model::KvType kv_type(const DecodeOptions& o) { return model::parse_kv_type(o.kv_dtype).value(); }

model::KvCache::Shape cache_shape(const DecodeOptions& o, const Input& in, std::int64_t context) {
  const model::Config& c = in.model.config;
  return {c.n_layers, c.n_kv_heads, c.head_dim, c.value_dim, context, kv_type(o)};
}

// One mode over one context: what was built and what the repetitions gave.
struct Measured {
  ModeRun run;
  std::unique_ptr<model::AttentionPolicy> policy;
  attention::SparseAttention* sparse = nullptr;  // the same object, if the mode has a static set
  std::vector<std::vector<double>> token_ms;     // repetition x token
  model::StepTimes times;                        // sums over all tokens
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

class ContextBench {
 public:
  ContextBench(const DecodeOptions& o, const cli::CommonOptions& common, const Input& in,
               std::int64_t context)
      : o_(o),
        in_(in),
        context_(context),
        prompt_(context - o.n_decode),
        seed_(common.seed),
        shape_(cache_shape(o, in, context)),
        cache_(shape_),
        backend_(o.compute == "f32" ? model::Compute::kF32 : model::Compute::kAuto),
        decoder_(in.model, backend_, cache_, exact_) {}

  // Keeps a snapshot of it, if `kv_out` is not empty.
  void prefill(const std::vector<ModeRun>& runs, const std::string& kv_out) {
    if (needs_queries(runs) || !kv_out.empty())
      queries_ =
          std::make_unique<attention::TrainQueries>(in_.model.config, prompt_, o_.sparse.train);
    decoder_.set_sink(queries_.get());
    const auto ids = std::span(in_.ids).first(static_cast<std::size_t>(prompt_));
    prefill_ = timed_prefill(decoder_, ids);
    decoder_.set_sink(nullptr);
    if (!kv_out.empty())
      model::write_kv_snapshot(kv_out, o_.force, {in_.file->sha256(), in_.model.config, ids},
                               cache_, model::sample(prefill_->logits, {}, 0), &queries_->sample());
  }

  // Instead of a prefill.
  void restore(const std::vector<ModeRun>& runs, const model::KvSnapshot& snapshot) {
    snapshot.restore(cache_, prompt_);
    if (!needs_queries(runs)) return;
    auto sample = snapshot.queries(prompt_, o_.sparse.train);
    if (!sample)
      fail_bad_data({.what = "bad KV snapshot",
                     .file = o_.kv_in,
                     .where = "q_train",
                     .why = "holds no queries for the indexes that need them",
                     .hint = "run without --kv-in"});
    queries_ = std::make_unique<attention::TrainQueries>(std::move(*sample));
  }

  void build(const std::vector<ModeRun>& runs) {
    for (const ModeRun& run : runs) {
      Measured m;
      m.run = run;
      if (run.mode->dense) {
        m.policy = std::make_unique<model::ExactAttention>();
      } else {
        auto sparse = std::make_unique<attention::SparseAttention>(
            attention::shape_of(in_.model.config), run.sparse);
        Progress progress(fmt::format("build {}", run.mode->name),
                          static_cast<std::uint64_t>(std::max(1, sparse->index_count())),
                          "indexes");
        attention::SparseAttention::QueriesOf queries;
        if (queries_) queries = [&](int layer, int head) { return queries_->head(layer, head); };
        sparse->build(cache_, queries, seed_,
                      [&](int done) { progress.update(static_cast<std::uint64_t>(done)); });
        m.sparse = sparse.get();
        m.policy = std::move(sparse);
      }
      measured_.push_back(std::move(m));
    }
  }

  // Full attention on the same tokens first: the reference of quality, never of time.
  void reference() {
    decoder_.set_attention(exact_);
    cache_.truncate(prompt_);
    for (int i = 0; i < o_.n_decode; ++i) {
      const auto logits = decoder_.step(token(i));
      reference_.insert(reference_.end(), logits.begin(), logits.end());
    }
  }

  void measure() {
    Progress progress(fmt::format("decode at {}", context_),
                      static_cast<std::uint64_t>(o_.repetitions) * measured_.size(), "runs");
    std::uint64_t done = 0;
    for (int r = 0; r < o_.repetitions; ++r)
      for (std::size_t i = 0; i < measured_.size(); ++i) {
        // Rotated order: no mode always runs after the same one.
        Measured& m = measured_[(i + static_cast<std::size_t>(r)) % measured_.size()];
        repetition(m, r == 0);
        progress.update(++done, std::string(m.run.mode->name));
      }
  }

  void write(bench::ResultWriter& out, double bandwidth) {
    for (const Measured& m : measured_) out.write(result(m, bandwidth));
  }

 private:
  static bool needs_queries(const std::vector<ModeRun>& runs) {
    return std::any_of(runs.begin(), runs.end(), [](const ModeRun& r) {
      return r.sparse.index && r.sparse.index->needs_queries;
    });
  }

  // The record's `train`: --train, or how many there are if a snapshot of another prompt gave
  // others than a prefill would have.
  std::int64_t train() const {
    const auto& pos = queries_->sample().pos;
    return pos == attention::train_positions(prompt_, o_.sparse.train) ? o_.sparse.train
                                                                       : std::ssize(pos);
  }

  std::int32_t token(int i) const { return in_.ids[static_cast<std::size_t>(prompt_ + i)]; }

  void repetition(Measured& m, bool with_quality) {
    decoder_.set_attention(*m.policy);
    cache_.truncate(prompt_);
    const std::size_t vocab = static_cast<std::size_t>(in_.model.config.vocab_size);
    std::vector<double> ms;
    for (int i = 0; i < o_.n_decode; ++i) {
      model::StepTimes times;
      const std::int64_t before = allocations();
      const auto start = Clock::now();
      const auto logits = decoder_.step(token(i), &times);
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

  const DecodeOptions& o_;
  const Input& in_;
  std::int64_t context_, prompt_;
  std::uint64_t seed_;
  model::KvCache::Shape shape_;
  model::KvCache cache_;
  model::CpuBackend backend_;
  model::ExactAttention exact_;
  model::Decoder decoder_;
  std::unique_ptr<attention::TrainQueries> queries_;
  std::vector<Measured> measured_;
  std::vector<float> reference_;       // [n_decode, vocab]
  std::optional<PrefillRun> prefill_;  // nothing if a snapshot took its place
};

bench::Result ContextBench::result(const Measured& m, double bandwidth) const {
  bench::Result r;
  r.kind = "decode";
  r.config = {{"model_sha256", in_.file->sha256()},
              {"input_sha256", in_.sha256},
              {"seed", seed_},
              {"threads", threads()},
              {"deterministic", true},
              {"architecture", in_.model.config.architecture},
              {"mode", m.run.mode->name},
              {"context", context_},
              {"n_decode", o_.n_decode},
              {"repetitions", o_.repetitions},
              {"kv_dtype", o_.kv_dtype},
              {"compute", o_.compute},
              {"k", m.run.sparse.index ? Json(o_.sparse.k) : Json(nullptr)},
              {"sink", m.run.mode->dense ? Json(nullptr) : Json(o_.sparse.sink)},
              {"window", m.run.mode->dense ? Json(nullptr) : Json(o_.sparse.window)},
              {"index", m.run.index_text.empty() ? Json(nullptr) : Json(m.run.index_text)},
              {"train", m.run.sparse.index && m.run.sparse.index->needs_queries ? Json(train())
                                                                                : Json(nullptr)}};
  if (!o_.rope.scaling.empty())
    r.config["rope_scaling"] = Json::parse(model::rope_scaling_json(in_.model.config));
  if (!prefill_) r.status_detail = "keys and values of the prompt come from a snapshot";
  std::vector<double> all;
  for (const auto& rep : m.token_ms) all.insert(all.end(), rep.begin(), rep.end());
  const Json p = bench::percentiles(all);
  const double decode_ms = p["p50"], n = static_cast<double>(m.tokens);
  const double mean_ms = std::accumulate(all.begin(), all.end(), 0.0) / n;
  const model::AttendStats& a = m.times.attend;
  // Parts are shares of the mean step, given in units of the median step: they sum to decode_ms.
  const auto part = [&](double total_ms) { return total_ms / n / mean_ms * decode_ms; };
  const double attend_rest =
      std::max(0.0, m.times.attend_ms - a.search_ms - a.gather_ms - a.static_ms - a.merge_ms);
  const double read_bytes = static_cast<double>(model::weight_bytes(in_.model.weights)) +
                            static_cast<double>(a.bytes) / n;
  Json& x = r.metrics;
  x["decode_ms"] = decode_ms;
  x["decode_tok_s"] = 1000 / decode_ms;
  if (prefill_) {
    add_metrics(*prefill_, x);
  } else {
    x["prefill_ms"] = x["prefill_tok_s"] = nullptr;
  }
  x["build_ms"] = m.sparse != nullptr ? m.sparse->totals().build_ms : 0.0;
  x["index_bytes"] = m.sparse != nullptr ? m.sparse->totals().bytes : 0;
  x["kv_bytes"] = model::KvCache::bytes(shape_);
  x["peak_rss_bytes"] = peak_rss_bytes();
  x["scanned_frac"] = m.run.mode->dense ? 1.0
                      : a.indexed_keys > 0
                          ? static_cast<double>(a.distances) / static_cast<double>(a.indexed_keys)
                          : 0.0;
  x["read_bytes"] = read_bytes;
  x["read_gb_s"] = read_bytes / decode_ms / 1e6;
  x["bandwidth_frac"] =
      bandwidth > 0 ? Json(read_bytes / decode_ms / 1e6 / bandwidth) : Json(nullptr);
  x["qkv_ms"] = part(m.times.qkv_ms);
  x["search_ms"] = part(a.search_ms);
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
  x["overlap_frac"] = busy > 0 && m.sparse != nullptr ? std::max(0.0, 1 - wall / busy) : 0.0;
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

// What must be resident at the longest context, before any of it is allocated.
void check_plan(const DecodeOptions& o, const cli::CommonOptions& common, const Input& in,
                const std::vector<ModeRun>& runs, std::int64_t context) {
  const model::Config& c = in.model.config;
  const auto u64 = [](auto n) { return static_cast<std::uint64_t>(n); };
  // Each index keeps its keys in f32 and, at most, 2 x 35 links of 4 bytes beside them.
  const std::uint64_t indexed =
      u64(context) * u64(c.full_layers()) * u64(c.n_kv_heads) * (u64(c.head_dim) * 4 + 280);
  std::uint64_t indexes = 0;
  for (const ModeRun& run : runs)
    if (run.sparse.index) indexes += indexed * (run.sparse.index->share_group ? 1 : u64(c.group()));
  std::error_code missing;  // said when it is opened
  const std::uint64_t snapshot = o.kv_in.empty() ? 0 : std::filesystem::file_size(o.kv_in, missing);
  constexpr std::uint64_t kProgram = 64 << 20;
  std::vector<MemoryNeed> needs{
      {"the program", kProgram},
      {"weights", model::weight_bytes(in.model.weights)},
      {"KV cache", model::KvCache::bytes(cache_shape(o, in, context))},
      {"the snapshot", missing ? 0 : snapshot},
      {"indexes", indexes},
      {"training queries",
       u64(o.sparse.train) * u64(c.n_layers) * u64(c.n_heads) * u64(c.head_dim) * sizeof(bf16)},
      {"reference logits", u64(o.n_decode) * u64(c.vocab_size) * sizeof(float)},
      {"activations", u64(2048) * u64(4 * c.dim + 2 * c.ffn_dim) * sizeof(float)}};
  // Before all that only the weights (their content is checked) and a buffer to measure with.
  const std::uint64_t at_start =
      model::weight_bytes(in.model.weights) + bench::kBandwidthBuffer + kProgram;
  if (const std::uint64_t later = total_bytes(needs); later < at_start)
    needs.push_back({"the bandwidth measurement", at_start - later});
  check_memory(needs, memory_limit(common.memory_limit));
}

std::unique_ptr<model::KvSnapshot> open_snapshot(const DecodeOptions& o, const Input& in,
                                                 std::int64_t longest) {
  if (o.kv_in.empty()) return nullptr;
  auto snapshot = std::make_unique<model::KvSnapshot>(o.kv_in, o.trust_kv);
  snapshot->check_source({in.file->sha256(), in.model.config, in.ids}, kv_type(o));
  const std::int64_t prompt = longest - o.n_decode;
  if (prompt > snapshot->n_tokens())
    fail_bad_data(
        {.what = "snapshot too short",
         .file = o.kv_in,
         .where = "-c",
         .why = fmt::format("{} tokens, the longest prompt has {}", snapshot->n_tokens(), prompt)});
  return snapshot;
}

// Before hours of prefill: can the snapshot be written?
std::unique_ptr<OutputLock> claim_snapshot(const DecodeOptions& o, const Input& in,
                                           std::int64_t longest) {
  if (o.kv_out.empty()) return nullptr;
  const std::int64_t prompt = longest - o.n_decode;
  return claim_output(
      o.kv_out, o.force,
      model::kv_snapshot_bytes(cache_shape(o, in, longest), prompt, in.model.config.n_heads,
                               std::min(prompt, o.sparse.train)));
}

}  // namespace

int run_decode(const DecodeOptions& o, const cli::CommonOptions& common) {
  const std::vector<ModeRun> runs = mode_runs(o.sparse);
  const std::vector<std::int64_t> contexts = parse_contexts(o.contexts);
  for (const std::int64_t c : contexts)
    if (c <= o.n_decode)
      fail_usage("-c", fmt::format("{} leaves no prompt before {} decoded tokens", c, o.n_decode));
  check_k(o.sparse, runs, contexts.front() - o.n_decode);
  cli::check(o.rope);
  const Input in = read_input(o, common, contexts.back());
  check_plan(o, common, in, runs, contexts.back());
  const auto snapshot = open_snapshot(o, in, contexts.back());
  const auto kv_lock = claim_snapshot(o, in, contexts.back());
  const double bandwidth = bench::read_bandwidth_gb_s();
  bench::ResultWriter out(o.sparse.out,
                          {.tool = "ra-bench", .pair = o.sparse.pair, .bandwidth_gb_s = bandwidth});
  for (const std::int64_t context : contexts) {
    ContextBench bench(o, common, in, context);
    if (snapshot)
      bench.restore(runs, *snapshot);
    else
      bench.prefill(runs, context == contexts.back() ? o.kv_out : "");
    bench.build(runs);
    bench.reference();
    bench.measure();
    bench.write(out, bandwidth);
  }
  in.file->check_unchanged();
  if (o.sparse.out != "-") {
    print_prefill_table(out.records(), o.sparse.format);
    print_decode_table(out.records(), o.sparse.format);
  }
  return 0;
}

}  // namespace ra::bench_app
