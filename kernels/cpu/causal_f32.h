// SPDX-License-Identifier: Apache-2.0
// Causal attention in f32 over Simd: see attend_tiles.h for the blocking.
#pragma once

#include <cstddef>
#include <limits>

#include "kernels/attend.h"
#include "kernels/cpu/attend_tiles.h"
#include "kernels/cpu/tile_f32.h"

namespace ra::kernels {
namespace {

// One token tile. Lane tiles of q are [head_dim, kTileCols], of out [value_dim, kTileCols].
template <class S>
class CausalTile {
  using V = typename S::V;
  static constexpr std::size_t kCols = kTileCols<S>;

 public:
  CausalTile(const CausalArgs& a, std::size_t first_token, std::size_t tokens)
      : a_(a), first_(first_token), rows_(tokens * a.group) {
    const attend_tiles::Layout l =
        attend_tiles::layout(a.tokens, a.group, a.kv.head_dim, a.kv.value_dim);
    float* base = reinterpret_cast<float*>(a.scratch);
    q_ = base + l.q, out_ = base + l.out, max_ = base + l.max, sum_ = base + l.sum;
    limit_ = base + l.limit, k_ = base + l.k, v_ = base + l.v, s_ = base + l.s;
  }

  void run() {
    pack_queries();
    const std::size_t keys = a_.pos0 + first_ + rows_ / a_.group;
    for (std::size_t key = first_key_of(0); key < keys; key += attend_tiles::kKeyBlock) {
      const std::size_t n = attend_tiles::smaller(attend_tiles::kKeyBlock, keys - key);
      const float* k = widen_block(a_.kv.k, key, n, a_.kv.head_dim, a_.kv.k_gain, k_);
      const float* v = widen_block(a_.kv.v, key, n, a_.kv.value_dim, nullptr, v_);
      for (std::size_t row = 0; row < rows_; row += kCols) attend_block(row, key, n, k, v);
    }
    write_out();
  }

 private:
  std::size_t last_key(std::size_t row) const { return a_.pos0 + first_ + row / a_.group; }
  std::size_t first_key_of(std::size_t row) const { return first_key(last_key(row), a_.window); }

  // Lanes past the last row repeat it, so they hold ordinary numbers.
  void pack_queries() {
    const std::size_t d = a_.kv.head_dim;
    const std::size_t padded = attend_tiles::round_up(rows_, kCols);
    for (std::size_t r = 0; r < padded; ++r) {
      const std::size_t row = attend_tiles::smaller(r, rows_ - 1);
      const float* src = a_.q + (first_ + row / a_.group) * a_.q_stride + row % a_.group * d;
      float* dst = q_ + r / kCols * kCols * d + r % kCols;
      for (std::size_t i = 0; i < d; ++i) dst[i * kCols] = src[i] * a_.scale;
      limit_[r] = static_cast<float>(last_key(row));  // exact: positions stay below 2^24
    }
    attend_tiles::fill(out_, padded * a_.kv.value_dim, 0.0f);
    attend_tiles::fill(sum_, padded, 0.0f);
    attend_tiles::fill(max_, padded, attend_tiles::kNoMaximum);
  }

  // Rows first..first+n of K or V as f32.
  const float* widen_block(const void* rows, std::size_t first, std::size_t n, std::size_t dim,
                           const float* gain, float* to) {
    if (a_.kv.type == KvType::kInt8) {
      for (std::size_t i = 0; i < n; ++i) {
        const auto* row =
            static_cast<const std::int8_t*>(rows) + (first + i) * row_bytes(KvType::kInt8, dim);
        widen_int8(row, dim, gain, to + i * dim);
      }
      return to;
    }
    if (a_.kv.type == KvType::kF32) return static_cast<const float*>(rows) + first * dim;
    const bf16* src = static_cast<const bf16*>(rows) + first * dim;
    std::size_t i = 0;
    for (; i + S::kLanes <= n * dim; i += S::kLanes) S::store(to + i, S::load(src + i));
    for (; i < n * dim; ++i) to[i] = to_float(src[i]);
    return to;
  }

  static void widen_int8(const std::int8_t* row, std::size_t dim, const float* gain, float* to) {
    float scale = 0;
    __builtin_memcpy(&scale, row + dim, sizeof scale);
    std::size_t i = 0;
    for (; i + S::kLanes <= dim; i += S::kLanes) {
      const V x = S::mul(S::load(row + i), S::set1(scale));
      S::store(to + i, gain != nullptr ? S::mul(x, S::load(gain + i)) : x);
    }
    for (; i < dim; ++i)
      to[i] = static_cast<float>(row[i]) * scale * (gain != nullptr ? gain[i] : 1.0f);
  }

  void attend_block(std::size_t row, std::size_t key, std::size_t n, const float* k,
                    const float* v) {
    const std::size_t d = a_.kv.head_dim, dv = a_.kv.value_dim;
    const std::size_t last_row = attend_tiles::smaller(row + kCols, rows_) - 1;
    const std::size_t last = last_key(last_row);
    if (key > last || key + n <= first_key_of(row)) return;
    n = attend_tiles::smaller(n, last - key + 1);
    attend_tiles::fill(s_, n * kCols, 0.0f);
    tile_product<S>(k, d, 1, q_ + row * d, kCols, d, s_, kCols, n);
    if (key + n - 1 > last_key(row)) mask_after(row, key, n);
    if (key < first_key_of(last_row)) mask_before(row, key, n);
    float* out = out_ + row * dv;
    softmax(row, n, out);
    tile_product<S>(v, 1, dv, s_, kCols, n, out, kCols, dv);
  }

  // Keys after a row's own position get no weight.
  void mask_after(std::size_t row, std::size_t key, std::size_t n) {
    const V none = S::set1(-std::numeric_limits<float>::infinity());
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t c = 0; c < kCols; c += S::kLanes) {
        float* s = s_ + i * kCols + c;
        S::store(s, S::select_le(S::set1(static_cast<float>(key + i)), S::load(limit_ + row + c),
                                 S::load(s), none));
      }
  }

  // Nor do keys before its window.
  void mask_before(std::size_t row, std::size_t key, std::size_t n) {
    const V none = S::set1(-std::numeric_limits<float>::infinity());
    for (std::size_t i = 0; i < n; ++i) {
      const V shifted = S::set1(static_cast<float>(key + i + a_.window));
      for (std::size_t c = 0; c < kCols; c += S::kLanes) {
        float* s = s_ + i * kCols + c;
        S::store(s, S::select_le(shifted, S::load(limit_ + row + c), none, S::load(s)));
      }
    }
  }

  // s = exp(s - running maximum); moves the running maximum, the sum and out along.
  void softmax(std::size_t row, std::size_t n, float* out) {
    for (std::size_t c = 0; c < kCols; c += S::kLanes) {
      const V before = S::load(max_ + row + c);
      V max = before;
      for (std::size_t i = 0; i < n; ++i) max = S::max(max, S::load(s_ + i * kCols + c));
      V sum = S::load(sum_ + row + c);
      if (S::any_greater(max, before)) {
        const V keep = exp_lanes<S>(S::sub(before, max));
        sum = S::mul(sum, keep);
        for (std::size_t j = 0; j < a_.kv.value_dim; ++j)
          S::store(out + j * kCols + c, S::mul(S::load(out + j * kCols + c), keep));
        S::store(max_ + row + c, max);
      }
      for (std::size_t i = 0; i < n; ++i) {
        const V p = exp_lanes<S>(S::sub(S::load(s_ + i * kCols + c), max));
        sum = S::add(sum, p);
        S::store(s_ + i * kCols + c, p);
      }
      S::store(sum_ + row + c, sum);
    }
  }

  void write_out() {
    const std::size_t dv = a_.kv.value_dim;
    for (std::size_t r = 0; r < rows_; ++r) {
      const float* src = out_ + r / kCols * kCols * dv + r % kCols;
      float* dst = a_.out + (first_ + r / a_.group) * a_.out_stride + r % a_.group * dv;
      for (std::size_t j = 0; j < dv; ++j) dst[j] = src[j * kCols] / sum_[r];
    }
  }

  const CausalArgs& a_;
  std::size_t first_, rows_;
  float *q_, *out_, *max_, *sum_, *limit_, *k_, *v_, *s_;
};

template <class S>
void causal_f32(const CausalArgs& a) {
  const std::size_t tile = attend_tiles::token_tile(a.tokens, a.group);
  for (std::size_t t = 0; t < a.tokens; t += tile)
    CausalTile<S>(a, t, attend_tiles::smaller(tile, a.tokens - t)).run();
}

}  // namespace
}  // namespace ra::kernels
