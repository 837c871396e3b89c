// SPDX-License-Identifier: Apache-2.0
#include "apps/bench/model_context.h"

#include <fmt/format.h>

#include <algorithm>

#include "lib/bench/roofline.h"
#include "lib/core/error.h"
#include "lib/model/sampler.h"

namespace ra::bench_app {
namespace {

bool needs_queries(const ModeRun& r) { return r.sparse.index && r.sparse.index->needs_queries; }
bool by_moments(const ModeRun& r) { return needs_queries(r) && r.sparse.index->type->moments; }
bool keeps_rows(const ModeRun& r) {
  return (needs_queries(r) && !r.sparse.index->type->moments) || r.measured;
}

// Positions whose moments are summed together: a segment of the index with the smallest.
std::int64_t moment_span(const std::vector<ModeRun>& runs, std::int64_t prompt) {
  std::int64_t span = prompt;
  for (const ModeRun& r : runs)
    if (by_moments(r) && r.sparse.index->segment > 0)
      span = std::min(span, static_cast<std::int64_t>(r.sparse.index->segment));
  return span;
}

class BothSinks : public model::QkvSink {
 public:
  BothSinks(model::QkvSink* a, model::QkvSink* b) : sinks_{a, b} {}
  void on_qkv(const model::QkvView& view) override {
    for (model::QkvSink* sink : sinks_)
      if (sink != nullptr) sink->on_qkv(view);
  }

 private:
  model::QkvSink* sinks_[2];
};

model::Compute compute_of(const ModelOptions& o) {
  return o.compute == "f32" ? model::Compute::kF32 : model::Compute::kAuto;
}

}  // namespace

model::KvCache::Shape cache_shape(const ModelOptions& o, const ModelInput& in,
                                  std::int64_t capacity) {
  const model::Config& c = in.model.config;
  return {c.n_layers, c.n_kv_heads, c.head_dim, c.value_dim, capacity, kv_type(o)};
}

std::unique_ptr<model::KvSnapshot> open_snapshot(const ModelOptions& o, const ModelInput& in,
                                                 std::span<const std::int32_t> ids,
                                                 std::int64_t prompt) {
  if (o.kv_in.empty()) return nullptr;
  auto snapshot = std::make_unique<model::KvSnapshot>(o.kv_in, o.trust_kv);
  snapshot->check_source({in.file->sha256(), in.model.config, ids}, kv_type(o));
  if (prompt > snapshot->n_tokens())
    fail_bad_data(
        {.what = "snapshot too short",
         .file = o.kv_in,
         .where = "-c",
         .why = fmt::format("{} tokens, the longest prompt has {}", snapshot->n_tokens(), prompt)});
  return snapshot;
}

std::unique_ptr<OutputLock> claim_snapshot(const ModelOptions& o, const SparseModeOptions& sparse,
                                           const ModelInput& in, std::int64_t prompt) {
  if (o.kv_out.empty()) return nullptr;
  return claim_output(
      o.kv_out, o.force,
      model::kv_snapshot_bytes(cache_shape(o, in, prompt), prompt, in.model.config.n_heads,
                               std::min(prompt, sparse.train)));
}

ModelContext::ModelContext(const ModelOptions& o, const SparseModeOptions& sparse,
                           const ModelInput& in, std::span<const std::int32_t> prompt,
                           std::int64_t capacity, int sequences)
    : o_(o),
      sparse_(sparse),
      in_(in),
      prompt_(prompt),
      cache_(cache_shape(o, in, capacity)),
      device_(attention::open_device({o.device, o.gpu_memory, compute_of(o)})),
      exact_(device_->exact_attention()),
      decoder_(in.model, device_->backend(), cache_, *exact_) {
  device_->check_fits(in.model.config, in.model.weights, cache_.shape(),
                      static_cast<std::size_t>(sequences));
  device_->backend().prepare(in.model.weights);
}

model::Compute ModelContext::compute() const { return compute_of(o_); }

void ModelContext::prefill(const std::vector<ModeRun>& runs, const std::string& kv_out,
                           const std::function<void()>& between_chunks) {
  if (std::ranges::any_of(runs, by_moments))
    moments_ = std::make_unique<attention::QueryMoments>(in_.model.config,
                                                         moment_span(runs, prompt_size()));
  if (std::ranges::any_of(runs, keeps_rows) || !kv_out.empty())
    queries_ =
        std::make_unique<attention::TrainQueries>(in_.model.config, prompt_size(), sparse_.train);
  BothSinks sinks(queries_.get(), moments_.get());
  decoder_.set_sink(queries_ || moments_ ? &sinks : nullptr);
  std::function<double()> peak;  // of what multiplies; a device's is not measured
  if (o_.on_cpu())
    peak = [f32 = compute_of(o_) == model::Compute::kF32] {
      return bench::multiply_peak_tflop_s(f32);
    };
  prefill_ = timed_prefill(decoder_, prompt_, peak, between_chunks);
  decoder_.set_sink(nullptr);
  if (!kv_out.empty())
    model::write_kv_snapshot(kv_out, o_.force, {in_.file->sha256(), in_.model.config, prompt_},
                             cache_, model::sample(prefill_->logits, {}, 0), &queries_->sample());
}

void ModelContext::restore(const std::vector<ModeRun>& runs, const model::KvSnapshot& snapshot) {
  snapshot.restore(cache_, prompt_size());
  if (std::ranges::none_of(runs, [](const ModeRun& r) { return needs_queries(r) || r.measured; }))
    return;
  auto sample = snapshot.queries(prompt_size(), sparse_.train);
  if (!sample)
    fail_bad_data({.what = "bad KV snapshot",
                   .file = o_.kv_in,
                   .where = "q_train",
                   .why = "holds no queries for the indexes that need them",
                   .hint = "run without --kv-in"});
  queries_ = std::make_unique<attention::TrainQueries>(std::move(*sample));
}

attention::TrainingOf ModelContext::training(const ModeRun& run) const {
  if (!needs_queries(run)) return {};
  if (moments_ && by_moments(run))
    return [this](int layer, int head, std::int64_t begin, std::int64_t end) {
      return attention::Training{{}, moments_->mean(layer, head, begin, end)};
    };
  return [this](int layer, int head, std::int64_t begin, std::int64_t end) {
    return attention::Training{queries_->head(layer, head, begin, end), {}};
  };
}

attention::QueriesOf ModelContext::queries_so_far() const {
  return [this](int layer, int head, std::int64_t begin, std::int64_t end) {
    return queries_->between(layer, head, begin, end);
  };
}

std::function<attention::PlacedQueries(int, int)> ModelContext::budget_queries() const {
  return [this](int layer, int head) { return queries_->budget_queries(layer, head); };
}

std::int64_t ModelContext::train(const ModeRun& run) const {
  if (moments_ && by_moments(run)) return moments_->queries();
  const auto& pos = queries_->sample().pos;
  return pos == attention::train_positions(prompt_size(), sparse_.train) ? sparse_.train
                                                                         : std::ssize(pos);
}

}  // namespace ra::bench_app
