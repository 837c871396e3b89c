// SPDX-License-Identifier: Apache-2.0
// One forward pass for prefill (many rows) and decode (one row).
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "lib/model/attention_policy.h"
#include "lib/model/backend.h"
#include "lib/model/config.h"
#include "lib/model/kv_cache.h"
#include "lib/model/qkv_sink.h"
#include "lib/model/weights.h"

namespace ra::model {

// A loaded model: configuration and weight views. The gguf::File must outlive it (see load.h).
struct Model {
  std::filesystem::path file;  // for messages
  Config config;
  Weights weights;
  std::vector<double> inv_freq;  // [rotary_dims / 2], scaling applied
  float rope_magnitude = 1;
  std::vector<double> window_inv_freq;  // of the layers with a RoPE of their own; else empty
};

// Time per part of one step, all layers, exclusive; attention parts are in `attend`.
struct StepTimes {
  double qkv_ms = 0, attend_ms = 0, proj_ms = 0, ffn_ms = 0, head_ms = 0, other_ms = 0;
  AttendStats attend;
  StepTimes& operator+=(const StepTimes& o);
};

// One of several texts that decode together.
struct Sequence {
  KvCache* cache = nullptr;
  AttentionPolicy* attention = nullptr;
};

// Throws Error{kBadData} for a token id outside the vocabulary and for activations that are NaN or
// infinite, naming layer and token. Positions beyond the cache's capacity are the caller's mistake.
class Decoder {
 public:
  struct Options {
    std::size_t chunk = 1024;  // rows of one prefill pass
  };
  Decoder(const Model& model, Backend& backend, KvCache& cache, AttentionPolicy& attention,
          const Options& options);
  Decoder(const Model& model, Backend& backend, KvCache& cache, AttentionPolicy& attention)
      : Decoder(model, backend, cache, attention, Options{}) {}

  void set_sink(QkvSink* sink) { sink_ = sink; }  // null = none
  void set_attention(AttentionPolicy& attention) { attention_ = &attention; }
  // Every pass adds the parts of each layer (no head) to its element; null = none. It must have an
  // element for each.
  void set_layer_times(std::vector<StepTimes>* layers) { layer_times_ = layers; }

  // Called with the logits [rows, vocab] of positions pos..pos+rows-1 of each chunk.
  using OnLogits = std::function<void(std::int64_t pos, MatView<const float> logits)>;
  // Called after each chunk with the number of tokens done; return false to stop early.
  using OnProgress = std::function<bool(std::int64_t done)>;
  // Appends `ids` (not empty) in chunks. Logits of every position are computed only if `on_logits`
  // is set (in blocks of rows, so memory stays bounded). Returns the logits [vocab] of the last
  // position run, valid until the next call. `times` gets the parts of all chunks added.
  std::span<const float> prefill(std::span<const std::int32_t> ids, const OnLogits& on_logits = {},
                                 const OnProgress& on_progress = {}, StepTimes* times = nullptr);
  // The last position up to `most` where a prefill of n tokens begins a chunk: from there on the
  // rest of a prefill gives the same bits as all of it.
  std::int64_t chunk_start(std::int64_t n, std::int64_t most) const;
  // Appends one token; returns its logits [vocab], valid until the next call.
  std::span<const float> step(std::int32_t id, StepTimes* times = nullptr);
  // Appends ids[i] to sequence i, in its own cache and by its own policy. Of these only the
  // decoder's own cache is tapped. Weights are read once for all of them. Returns their logits
  // [sequences, vocab], valid until the next call. Rows are those of step(), to the rounding of the
  // backend's products (the CPU's: the same bits for up to 8 sequences).
  MatView<const float> step(std::span<const Sequence> sequences, std::span<const std::int32_t> ids,
                            StepTimes* times = nullptr);

  std::int64_t position() const { return cache_.size(0); }
  const Model& model() const { return model_; }

 private:
  // Activations in the backend's memory, growing as needed; what it held is lost then.
  struct Buffer {
    std::shared_ptr<float> memory;
    std::size_t rows = 0, cols = 0;
    MatView<float> view() const { return {memory.get(), rows, cols}; }
  };
  // The rows in use of every buffer of one pass.
  struct Rows {
    MatView<float> x, h, q, k, v, att;
  };
  // Rows [first, first + count) of a pass: consecutive positions of one sequence.
  struct Segment {
    Sequence of;
    std::size_t first = 0, count = 0;
    std::int64_t pos = 0;  // of the first row
  };
  MatView<float> first_rows(Buffer& buffer, std::size_t n, std::size_t cols);
  Rows rows(std::size_t n);
  MatView<const float> timed_step(std::span<const std::int32_t> ids,
                                  std::span<const Segment> segments, StepTimes* times);
  void forward(std::span<const std::int32_t> ids, std::span<const Segment> segments,
               StepTimes& times);
  void block(int layer, std::span<const Segment> segments, const Rows& r, StepTimes& times);
  void check_fits(const KvCache& cache) const;
  void check_finite(std::string_view where, std::int64_t pos, MatView<const float> x);
  void add_normalised(const Weight& gain, const Rows& r);
  MatView<const float> head(std::int64_t pos, std::size_t first, std::size_t count);
  MatView<const float> head_in_blocks(std::int64_t pos, std::size_t count,
                                      const OnLogits& on_logits);

  const Model& model_;
  Backend& backend_;
  KvCache& cache_;
  AttentionPolicy* attention_;
  QkvSink* sink_ = nullptr;
  std::vector<StepTimes>* layer_times_ = nullptr;
  Options options_;
  Rope rope_, window_rope_;
  Buffer x_, h_, q_, k_, v_, att_, logits_;
};

}  // namespace ra::model
