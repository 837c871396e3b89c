// SPDX-License-Identifier: Apache-2.0
// The few operations of a forward pass, on views, so that CPU and CUDA share one decoder.
// Activations lie in memory of the backend: what others read of them goes through on_host(), what
// the host wrote through from_host(). Where the backend computes in host memory, as the CPU's does,
// both do nothing and all views are of plain memory; that is what the base class says.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>

#include "kernels/transfers.h"
#include "kernels/types.h"
#include "lib/core/clock.h"
#include "lib/model/config.h"
#include "lib/model/kv_cache.h"
#include "lib/model/weights.h"

namespace ra::model {

enum class Compute { kAuto, kF32 };  // fastest path of the CPU level, or f32 arithmetic throughout

// Rotary embedding tables: cos and sin [rotary_dims / 2] per position are derived from these.
struct Rope {
  bool interleaved = false;  // pairs (2i, 2i+1); otherwise (i, i + rotary_dims / 2)
  std::size_t head_dim = 0, rotary_dims = 0;
  std::span<const double>
      inv_freq;         // [rotary_dims / 2], scaling applied; angle = pos * inv_freq[i]
  float magnitude = 1;  // YaRN attention factor, multiplied into cos and sin
};

struct Product {
  const Weight &w, &bias;  // no bias: {}
  MatView<float> y;
};

struct FeedForward {
  const Weight &gate, &up, &down;
  Activation activation = Activation::kSilu;
  bool add = true;  // to y; otherwise y is overwritten, and may be h
};

class Backend {
 public:
  virtual ~Backend() = default;

  // Brings matrices to where they are used, so that no pass has to.
  virtual void prepare(const Weights&) {}
  // Memory for n activations. The backend must outlive it.
  virtual std::shared_ptr<float> allocate(std::size_t n);
  // x as the host reads it, all operations on it done; valid until x is written again.
  virtual MatView<const float> on_host(MatView<const float> x) { return x; }
  // x = rows that the host holds, of the same shape; they may be changed when it returns.
  virtual void from_host(MatView<const float> rows, MatView<float> x);
  // The first row with a NaN or an infinity, all operations on x done.
  virtual std::optional<std::size_t> first_bad_row(MatView<const float> x);
  // Keys and values of a layer's next positions to `cache`; k, v as KvCache::append takes them.
  virtual void append(KvCache& cache, int layer, MatView<const float> k, MatView<const float> v) {
    cache.append(layer, k, v);
  }
  // The clock of a pass: lap() adds the time since the last start_clock() or lap() to *ms (null: to
  // nothing), at the latest when first_bad_row() returns.
  virtual void start_clock() { watch_.lap(); }
  virtual void lap(double* ms);
  // All so far; waits for what is under way. None where there is no device.
  virtual kernels::Transfers transfers() { return {}; }

  // x [ids, dim] = rows of the table, times `scale`
  virtual void embed(const Weight& table, std::span<const std::int32_t> ids, float scale,
                     MatView<float> x) = 0;
  // Each product: y [tokens, w.rows] = x [tokens, w.cols] * w^T (+ bias row, if any).
  virtual void matmul(MatView<const float> x, std::initializer_list<Product> products) = 0;
  // y += x * w^T
  virtual void matmul_add(const Weight& w, MatView<const float> x, MatView<float> y) = 0;
  virtual void add(MatView<const float> y, MatView<float> x) = 0;  // x += y
  // y may be x.
  virtual void rms_norm(MatView<const float> x, const Weight& gain, float eps,
                        MatView<float> y) = 0;
  // In place on x [tokens, heads * head_dim]; row t is position pos + t.
  virtual void rope(const Rope& rope, std::int64_t pos, MatView<float> x) = 0;
  // y += (a(h gate^T) * (h up^T)) down^T: the feed-forward block (Shazeer, arXiv 2002.05202).
  virtual void feed_forward(const FeedForward& w, MatView<const float> h, MatView<float> y) = 0;

 private:
  Stopwatch watch_;
};

}  // namespace ra::model
