// SPDX-License-Identifier: Apache-2.0
#include "lib/model/decoder.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>

#include "lib/core/clock.h"
#include "lib/core/error.h"

namespace ra::model {
namespace {

// Rows of logits computed at once: enough for a GEMM, and 40 MB at 150 000 tokens.
constexpr std::size_t kLogitRows = 64;

void check_ids(const Model& model, std::int64_t pos, std::span<const std::int32_t> ids) {
  for (std::size_t i = 0; i < ids.size(); ++i)
    if (ids[i] < 0 || ids[i] >= model.config.vocab_size)
      fail_bad_data({.what = "bad token",
                     .file = model.file.string(),
                     .where = fmt::format("position {}", pos + static_cast<std::int64_t>(i)),
                     .why = fmt::format("id {} is outside the vocabulary of {}", ids[i],
                                        model.config.vocab_size)});
}

// Each head of [tokens, heads * head_dim] as a row of its own.
MatView<float> head_rows(MatView<float> x, std::size_t head_dim) {
  RA_CHECK(x.stride == x.cols);
  return {x.data, x.rows * (x.cols / head_dim), head_dim};
}

}  // namespace

StepTimes& StepTimes::operator+=(const StepTimes& o) {
  qkv_ms += o.qkv_ms;
  attend_ms += o.attend_ms;
  proj_ms += o.proj_ms;
  ffn_ms += o.ffn_ms;
  head_ms += o.head_ms;
  other_ms += o.other_ms;
  attend += o.attend;
  return *this;
}

Decoder::Decoder(const Model& model, Backend& backend, KvCache& cache, AttentionPolicy& attention,
                 const Options& options)
    : model_(model), backend_(backend), cache_(cache), attention_(&attention), options_(options) {
  RA_CHECK(options_.chunk > 0);
  const Config& c = model_.config;
  check_fits(cache_);
  rope_ = {.interleaved = c.rope_style == RopeStyle::kInterleaved,
           .head_dim = static_cast<std::size_t>(c.head_dim),
           .rotary_dims = static_cast<std::size_t>(c.rotary_dims),
           .inv_freq = model_.inv_freq,
           .magnitude = model_.rope_magnitude};
  window_rope_ = rope_;
  window_rope_.inv_freq = model_.window_inv_freq;
  window_rope_.magnitude = 1;
}

void Decoder::check_fits(const KvCache& cache) const {
  const Config& c = model_.config;
  const KvCache::Shape& s = cache.shape();
  RA_CHECK(s.layers == c.n_layers && s.kv_heads == c.n_kv_heads && s.head_dim == c.head_dim &&
           s.value_dim == c.value_dim);
}

void Decoder::check_finite(std::string_view where, std::int64_t pos, MatView<const float> x) {
  const auto row = backend_.first_bad_row(x);
  if (!row) return;
  fail_bad_data(
      {.what = "bad activations",
       .file = model_.file.string(),
       .where = std::string(where),
       .why = fmt::format("NaN or infinity at token {}", pos + static_cast<std::int64_t>(*row)),
       .hint = "broken weights?"});
}

MatView<float> Decoder::first_rows(Buffer& buffer, std::size_t n, std::size_t cols) {
  if (buffer.rows < n || buffer.cols != cols) {
    buffer = {};
    buffer = {backend_.allocate(n * cols), n, cols};
  }
  return buffer.view().row_range(0, n);
}

Decoder::Rows Decoder::rows(std::size_t n) {
  const Config& c = model_.config;
  const auto width = [](int heads, int dim) { return static_cast<std::size_t>(heads) * dim; };
  return {.x = first_rows(x_, n, width(1, c.dim)),
          .h = first_rows(h_, n, width(1, c.dim)),
          .q = first_rows(q_, n, width(c.n_heads, c.head_dim)),
          .k = first_rows(k_, n, width(c.n_kv_heads, c.head_dim)),
          .v = first_rows(v_, n, width(c.n_kv_heads, c.value_dim)),
          .att = first_rows(att_, n, width(c.n_heads, c.value_dim))};
}

std::span<const float> Decoder::prefill(std::span<const std::int32_t> ids,
                                        const OnLogits& on_logits, const OnProgress& on_progress,
                                        StepTimes* times) {
  RA_CHECK(!ids.empty());
  StepTimes unused;
  StepTimes& t = times != nullptr ? *times : unused;
  MatView<const float> last;
  std::size_t n = 0;
  for (std::size_t done = 0; done < ids.size(); done += n) {
    n = std::min(options_.chunk, ids.size() - done);
    // A lone last row would reach the attention policy as a decode step, so it joins this chunk.
    if (ids.size() - done - n == 1) ++n;
    const std::int64_t pos = position();
    const Segment whole{{&cache_, attention_}, 0, n, pos};
    forward(ids.subspan(done, n), {&whole, 1}, t);
    Stopwatch watch;
    if (on_logits) last = head_in_blocks(pos, n, on_logits);
    t.head_ms += watch.lap();
    if (on_progress && !on_progress(static_cast<std::int64_t>(done + n))) break;
  }
  Stopwatch watch;
  if (!on_logits) last = head(position() - 1, n - 1, 1);
  t.head_ms += watch.lap();
  return {last.row(last.rows - 1), last.cols};
}

std::int64_t Decoder::chunk_start(std::int64_t n, std::int64_t most) const {
  const auto chunk = static_cast<std::int64_t>(options_.chunk);
  const std::int64_t start = std::min(most, n - 1) / chunk * chunk;
  return start > 0 && n - start == 1 ? start - chunk : start;
}

std::span<const float> Decoder::step(std::int32_t id, StepTimes* times) {
  const Segment one{{&cache_, attention_}, 0, 1, position()};
  const MatView<const float> logits = timed_step({&id, 1}, {&one, 1}, times);
  return {logits.row(0), logits.cols};
}

MatView<const float> Decoder::step(std::span<const Sequence> sequences,
                                   std::span<const std::int32_t> ids, StepTimes* times) {
  RA_CHECK(!ids.empty() && ids.size() == sequences.size());
  std::vector<Segment> segments;
  for (const Sequence& sequence : sequences) {
    check_fits(*sequence.cache);
    segments.push_back({sequence, segments.size(), 1, sequence.cache->size(0)});
  }
  return timed_step(ids, segments, times);
}

MatView<const float> Decoder::timed_step(std::span<const std::int32_t> ids,
                                         std::span<const Segment> segments, StepTimes* times) {
  StepTimes t;
  Stopwatch whole;
  forward(ids, segments, t);
  Stopwatch watch;
  const MatView<const float> logits = head(segments.front().pos, 0, ids.size());
  t.head_ms = watch.lap();
  t.other_ms = whole.lap() - (t.qkv_ms + t.attend_ms + t.proj_ms + t.ffn_ms + t.head_ms);
  if (times != nullptr) *times = t;
  return logits;
}

// Leaves in x the output of the last block, not yet normalised.
void Decoder::forward(std::span<const std::int32_t> ids, std::span<const Segment> segments,
                      StepTimes& times) {
  const Rows r = rows(ids.size());
  const auto check_rows = [&](std::string_view where) {
    for (const Segment& s : segments) check_finite(where, s.pos, r.x.row_range(s.first, s.count));
  };
  for (const Segment& s : segments) {
    RA_CHECK(static_cast<std::int64_t>(s.count) <= s.of.cache->shape().capacity - s.pos);
    check_ids(model_, s.pos, ids.subspan(s.first, s.count));
  }
  backend_.start_clock();
  backend_.embed(model_.weights.token_embd, ids, model_.config.embedding_scale, r.x);
  check_rows("token_embd.weight");
  for (int layer = 0; layer < model_.config.n_layers; ++layer) {
    StepTimes t;
    block(layer, segments, r, t);
    check_rows(fmt::format("layer {}", layer));
    times += t;
    if (layer_times_ != nullptr) (*layer_times_)[static_cast<std::size_t>(layer)] += t;
  }
}

// One decoder block on x [tokens, dim], in place.
void Decoder::block(int layer, std::span<const Segment> segments, const Rows& r, StepTimes& times) {
  const LayerWeights& w = model_.weights.layers[static_cast<std::size_t>(layer)];
  const Config& c = model_.config;
  const Rope& rope = c.has_own_rope(layer) ? window_rope_ : rope_;
  backend_.start_clock();
  backend_.rms_norm(r.x, w.attn_norm, c.norm_eps, r.h);
  backend_.matmul(r.h, {{w.wq, w.bq, r.q}, {w.wk, w.bk, r.k}, {w.wv, w.bv, r.v}});
  if (c.qk_norm) {
    const MatView<float> q = head_rows(r.q, rope.head_dim), k = head_rows(r.k, rope.head_dim);
    backend_.rms_norm(q, w.q_norm, c.norm_eps, q);
    backend_.rms_norm(k, w.k_norm, c.norm_eps, k);
  }
  for (const Segment& s : segments) {
    backend_.rope(rope, s.pos, r.q.row_range(s.first, s.count));
    backend_.rope(rope, s.pos, r.k.row_range(s.first, s.count));
  }
  backend_.lap(&times.qkv_ms);
  for (const Segment& s : segments) {
    const MatView<float> q = r.q.row_range(s.first, s.count), k = r.k.row_range(s.first, s.count),
                         v = r.v.row_range(s.first, s.count);
    if (sink_ != nullptr && s.of.cache == &cache_)
      sink_->on_qkv({layer, s.pos, backend_.on_host(q), backend_.on_host(k), backend_.on_host(v)});
    backend_.append(*s.of.cache, layer, k, v);
    backend_.lap(nullptr);  // the tap and the copy count as other
    times.attend +=
        s.of.attention->attend({layer, s.pos, q, s.of.cache, c.attention_scale, c.window(layer)},
                               r.att.row_range(s.first, s.count));
    backend_.lap(&times.attend_ms);
  }
  if (c.post_norm) {
    backend_.matmul(r.att, {{w.wo, {}, r.h}});
    add_normalised(w.attn_post_norm, r);
  } else {
    backend_.matmul_add(w.wo, r.att, r.x);
  }
  backend_.lap(&times.proj_ms);
  backend_.rms_norm(r.x, w.ffn_norm, c.norm_eps, r.h);
  backend_.feed_forward({w.gate, w.up, w.down, c.activation, /*add=*/!c.post_norm}, r.h,
                        c.post_norm ? r.h : r.x);
  if (c.post_norm) add_normalised(w.ffn_post_norm, r);
  backend_.lap(&times.ffn_ms);
}

// x += norm(h)
void Decoder::add_normalised(const Weight& gain, const Rows& r) {
  backend_.rms_norm(r.h, gain, model_.config.norm_eps, r.h);
  backend_.add(r.h, r.x);
}

// Logits [count, vocab] of rows first.. of the last pass; `pos` is the position of the first.
MatView<const float> Decoder::head(std::int64_t pos, std::size_t first, std::size_t count) {
  const MatView<float> h = h_.view().row_range(first, count);
  const MatView<float> logits =
      first_rows(logits_, count, static_cast<std::size_t>(model_.config.vocab_size));
  backend_.rms_norm(x_.view().row_range(first, count), model_.weights.output_norm,
                    model_.config.norm_eps, h);
  backend_.matmul(h, {{model_.weights.output, {}, logits}});
  check_finite("output.weight", pos, logits);
  return backend_.on_host(logits);
}

MatView<const float> Decoder::head_in_blocks(std::int64_t pos, std::size_t count,
                                             const OnLogits& on_logits) {
  MatView<const float> logits;
  for (std::size_t first = 0; first < count; first += kLogitRows) {
    const std::int64_t at = pos + static_cast<std::int64_t>(first);
    logits = head(at, first, std::min(kLogitRows, count - first));
    on_logits(at, logits);
  }
  return logits;
}

}  // namespace ra::model
