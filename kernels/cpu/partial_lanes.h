// SPDX-License-Identifier: Apache-2.0
// Decode attention of a query group over Simd. Reading K and V once is the cost that cannot be
// avoided, so the arithmetic is arranged to stay below it: kLanes keys are transposed so that a
// score lies in a lane (no horizontal sums), and the transposition is shared by the whole group.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "kernels/attend.h"
#include "kernels/cpu/tile_f32.h"
#include "kernels/cpu/unroll.h"

namespace ra::kernels {
namespace {

template <class S, class T>
class PartialLanes {
  using V = typename S::V;
  static constexpr std::size_t kLanes = S::kLanes;
  static constexpr bool kBf16 = std::is_same_v<T, bf16>;
  // Elements of one vector of 32-bit units: bf16 come in pairs.
  static constexpr std::size_t kStep = kBf16 ? 2 * kLanes : kLanes;
  static constexpr std::size_t kBlock = 64;    // keys between two looks at the running maximum
  static constexpr std::size_t kMaxGroup = 8;  // query rows at once: their sums fit the registers

 public:
  explicit PartialLanes(const PartialArgs& a) : a_(a) {}

  void run() {
    for (std::size_t i = 0; i < a_.n; i += kBlock) {
      const std::size_t n = a_.n - i < kBlock ? a_.n - i : kBlock;
      std::size_t g = 0;  // a group above kMaxGroup finds the block's rows in the cache again
      for (; g + kMaxGroup < a_.group; g += kMaxGroup) block<kMaxGroup>(g, i, n);
      remaining_rows(g, i, n);
    }
  }

 private:
  void remaining_rows(std::size_t g, std::size_t i, std::size_t n) {
    switch (a_.group - g) {
      case 1:
        return block<1>(g, i, n);
      case 2:
        return block<2>(g, i, n);
      case 3:
        return block<3>(g, i, n);
      case 4:
        return block<4>(g, i, n);
      case 5:
        return block<5>(g, i, n);
      case 6:
        return block<6>(g, i, n);
      case 7:
        return block<7>(g, i, n);
      case 8:
        return block<8>(g, i, n);
      default:
        return;
    }
  }

  std::size_t row(std::size_t i) const { return a_.ids != nullptr ? a_.ids[i] : a_.first + i; }
  const T* key(std::size_t i) const {
    return static_cast<const T*>(a_.kv.k) + row(i) * a_.kv.head_dim;
  }
  const T* value(std::size_t i) const {
    return static_cast<const T*>(a_.kv.v) + row(i) * a_.kv.value_dim;
  }

  // Gathered rows are at addresses that the hardware cannot guess.
  static void prefetch(const T* p, std::size_t n) {
    const char* bytes = reinterpret_cast<const char*>(p);
    for (std::size_t i = 0; i < n * sizeof(T); i += 64) __builtin_prefetch(bytes + i);
  }
  void prefetch_for(std::size_t first, std::size_t count) const {
    for (std::size_t i = first; i < first + count && i < a_.n; ++i) {
      prefetch(value(i), a_.kv.value_dim);
      if (i + kLanes < a_.n) prefetch(key(i + kLanes), a_.kv.head_dim);
    }
  }

  // One vector of 32-bit units; `n` elements exist, the rest reads as zero.
  static V load_units(const T* p, std::size_t n) {
    if (n >= kStep) return S::load(reinterpret_cast<const float*>(p));
    alignas(64) T padded[kStep] = {};
    for (std::size_t i = 0; i < n; ++i) padded[i] = p[i];
    return S::load(reinterpret_cast<const float*>(padded));
  }

  template <std::size_t G>
  void block(std::size_t g0, std::size_t first, std::size_t n) {
    alignas(64) float p[G][kBlock];
    float keep[G];
    scores<G>(g0, first, n, p);
    RA_UNROLL(8)
    for (std::size_t g = 0; g < G; ++g) keep[g] = softmax(p[g], n, a_.out[g0 + g]);
    for (std::size_t c = 0; c < a_.kv.value_dim; c += 2 * kLanes)
      add_values<G>(g0, first, n, c, p, keep);
  }

  template <std::size_t G>
  void scores(std::size_t g0, std::size_t first, std::size_t n, float (&p)[G][kBlock]) const {
    for (std::size_t i = 0; i < n; i += kLanes) {
      const std::size_t count = n - i < kLanes ? n - i : kLanes;
      if (a_.ids != nullptr && g0 == 0) prefetch_for(first + i, count);
      const T* keys[kLanes];
      for (std::size_t j = 0; j < kLanes; ++j) keys[j] = key(first + i + (j < count ? j : 0));
      V s[G];
      score_lanes<G>(g0, keys, s);
      RA_UNROLL(8)
      for (std::size_t g = 0; g < G; ++g) S::store(p[g] + i, S::mul(s[g], S::set1(a_.scale)));
      for (std::size_t j = count; j < kLanes; ++j)
        for (std::size_t g = 0; g < G; ++g) p[g][i + j] = -std::numeric_limits<float>::infinity();
    }
  }

  // s[g] lane j = q[g0 + g] . keys[j]
  template <std::size_t G>
  void score_lanes(std::size_t g0, const T* const (&keys)[kLanes], V (&s)[G]) const {
    V acc[G][2];  // two chains per row hide the latency of the FMAs when the group is small
    for (std::size_t g = 0; g < G; ++g) acc[g][0] = acc[g][1] = S::zero();
    const float* q = a_.q + g0 * a_.q_stride;
    for (std::size_t d = 0; d < a_.kv.head_dim; d += kStep) {
      const std::size_t left = a_.kv.head_dim - d;
      V unit[kLanes];
      RA_UNROLL(16)
      for (std::size_t j = 0; j < kLanes; ++j) unit[j] = load_units(keys[j] + d, left);
      S::transpose(unit);
      if (left >= kStep) {
        add_units<G>(q + d, unit, acc);
      } else {
        add_last_units<G>(q + d, left, unit, acc);
      }
    }
    RA_UNROLL(8)
    for (std::size_t g = 0; g < G; ++g) s[g] = S::add(acc[g][0], acc[g][1]);
  }

  template <std::size_t G>
  RA_ALWAYS_INLINE void add_units(const float* q, const V (&unit)[kLanes], V (&acc)[G][2]) const {
    RA_UNROLL(16)
    for (std::size_t j = 0; j < kLanes; ++j) {
      RA_UNROLL(8)
      for (std::size_t g = 0; g < G; ++g) {
        const float* qg = q + g * a_.q_stride;
        if constexpr (kBf16) {
          acc[g][0] = S::fma(S::set1(qg[2 * j]), S::low_half(unit[j]), acc[g][0]);
          acc[g][1] = S::fma(S::set1(qg[2 * j + 1]), S::high_half(unit[j]), acc[g][1]);
        } else {
          acc[g][j & 1] = S::fma(S::set1(qg[j]), unit[j], acc[g][j & 1]);
        }
      }
    }
  }

  // The same with q in a zero-padded copy: `left` dimensions remain.
  template <std::size_t G>
  void add_last_units(const float* q, std::size_t left, const V (&unit)[kLanes],
                      V (&acc)[G][2]) const {
    for (std::size_t g = 0; g < G; ++g) {
      float padded[kStep] = {};
      for (std::size_t i = 0; i < left; ++i) padded[i] = q[g * a_.q_stride + i];
      for (std::size_t j = 0; j < kLanes; ++j)
        if constexpr (kBf16) {
          acc[g][0] = S::fma(S::set1(padded[2 * j]), S::low_half(unit[j]), acc[g][0]);
          acc[g][1] = S::fma(S::set1(padded[2 * j + 1]), S::high_half(unit[j]), acc[g][1]);
        } else {
          acc[g][j & 1] = S::fma(S::set1(padded[j]), unit[j], acc[g][j & 1]);
        }
    }
  }

  // p = exp(p - maximum), with the block joined to `out`; returns the factor owed to out.acc.
  static float softmax(float* p, std::size_t n, Partial& out) {
    V top = S::load(p);
    for (std::size_t i = kLanes; i < n; i += kLanes) top = S::max(top, S::load(p + i));
    const float block_max = S::reduce_max(top);
    float keep = 1;
    if (block_max > out.max) {
      keep = __builtin_expf(out.max - block_max);
      out.max = block_max;
    }
    V sum = S::zero();
    for (std::size_t i = 0; i < n; i += kLanes) {
      const V e = exp_lanes<S>(S::sub(S::load(p + i), S::set1(out.max)));
      S::store(p + i, e);
      sum = S::add(sum, e);
    }
    out.sum = out.sum * keep + S::reduce_add(sum);
    return keep;
  }

  // out.acc[c .. c + 2 kLanes) = keep * itself + sum of p * v
  template <std::size_t G>
  void add_values(std::size_t g0, std::size_t first, std::size_t n, std::size_t c,
                  const float (&p)[G][kBlock], const float (&keep)[G]) const {
    const std::size_t left = a_.kv.value_dim - c;
    const bool whole = left >= 2 * kLanes;
    V acc[G][2];
    for (std::size_t g = 0; g < G; ++g) load_sums(a_.out[g0 + g].acc + c, left, keep[g], acc[g]);
    for (std::size_t i = 0; i < n; ++i) {
      V v[2];
      whole ? load_values(value(first + i) + c, v)
            : load_last_values(value(first + i) + c, left, v);
      RA_UNROLL(8)
      for (std::size_t g = 0; g < G; ++g) {
        const V weight = S::set1(p[g][i]);
        acc[g][0] = S::fma(weight, v[0], acc[g][0]);
        acc[g][1] = S::fma(weight, v[1], acc[g][1]);
      }
    }
    for (std::size_t g = 0; g < G; ++g) store_sums(a_.out[g0 + g].acc + c, left, acc[g]);
  }

  // Two vectors of values: the even and the odd elements if bf16, the halves if f32.
  RA_ALWAYS_INLINE static void load_values(const T* p, V (&v)[2]) {
    const float* units = reinterpret_cast<const float*>(p);
    if constexpr (kBf16) {
      const V pairs = S::load(units);
      v[0] = S::low_half(pairs), v[1] = S::high_half(pairs);
    } else {
      v[0] = S::load(units), v[1] = S::load(units + kLanes);
    }
  }
  static void load_last_values(const T* p, std::size_t left, V (&v)[2]) {
    alignas(64) T padded[2 * kLanes] = {};
    for (std::size_t i = 0; i < left; ++i) padded[i] = p[i];
    load_values(padded, v);
  }

  static void load_sums(const float* p, std::size_t left, float keep, V (&acc)[2]) {
    alignas(64) float padded[2 * kLanes] = {};
    if (left < 2 * kLanes) {
      for (std::size_t i = 0; i < left; ++i) padded[i] = p[i];
      p = padded;
    }
    const V a = S::mul(S::load(p), S::set1(keep)), b = S::mul(S::load(p + kLanes), S::set1(keep));
    if constexpr (kBf16) {
      S::deinterleave(a, b, acc[0], acc[1]);
    } else {
      acc[0] = a, acc[1] = b;
    }
  }
  static void store_sums(float* p, std::size_t left, const V (&acc)[2]) {
    V a = acc[0], b = acc[1];
    if constexpr (kBf16) S::interleave(acc[0], acc[1], a, b);
    alignas(64) float padded[2 * kLanes];
    float* to = left < 2 * kLanes ? padded : p;
    S::store(to, a), S::store(to + kLanes, b);
    if (to == padded)
      for (std::size_t i = 0; i < left; ++i) p[i] = padded[i];
  }

  const PartialArgs& a_;
};

template <class S>
void partial_lanes(const PartialArgs& a) {
  if (a.kv.type == KvType::kF32) {
    PartialLanes<S, float>(a).run();
  } else {
    PartialLanes<S, bf16>(a).run();
  }
}

}  // namespace
}  // namespace ra::kernels
