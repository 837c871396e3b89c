// SPDX-License-Identifier: Apache-2.0
// Decode attention of a query group over Simd. Reading K and V once is the cost that cannot be
// avoided, so the arithmetic is arranged to stay below it and to run while lines are on their way:
//
// - kLanes keys are transposed so that a score lies in a lane (no horizontal sums), and the
//   transposition is shared by the whole group;
// - K and V are read in short turns, as two streams side by side, and the lines of the next keys
//   are asked for in ascending order while these are computed: the prefetcher of the second-level
//   cache then runs ahead of both. Blocks of 64 keys without that read at half the rate;
// - where the level multiplies pairs of bf16, queries and softmax weights are rounded to bf16: half
//   the products, and no widening of what was read.
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

// kPairs: bf16 rows, whose products are of pairs.
template <class S, class T, bool kPairs = false>
class PartialLanes {
  using V = typename S::V;
  static constexpr std::size_t kLanes = S::kLanes;
  static constexpr bool kBf16 = std::is_same_v<T, bf16>;
  static constexpr bool kInt8 = std::is_same_v<T, std::int8_t>;
  // Elements of one vector of 32-bit units: bf16 come in pairs, int8 in fours.
  static constexpr std::size_t kStep = kLanes * sizeof(float) / sizeof(T);
  static constexpr std::size_t kBlock = S::kBlockKeys;  // keys between two looks at the maximum
  static constexpr std::size_t kMaxGroup = 8;  // query rows at once: their sums fit the registers
  static constexpr std::size_t kAhead = 16;    // keys between a prefetch and its use

 public:
  explicit PartialLanes(const PartialArgs& a)
      : a_(a),
        key_bytes_(row_bytes(a.kv.type, a.kv.head_dim)),
        value_bytes_(row_bytes(a.kv.type, a.kv.value_dim)) {}

  void run() {
    std::size_t g = 0;  // a group above kMaxGroup reads the rows again
    for (; g + kMaxGroup < a_.group; g += kMaxGroup) attend<kMaxGroup>(g);
    attend_remaining(g);
  }

 private:
  void attend_remaining(std::size_t g) {
    switch (a_.group - g) {
      case 1:
        return attend<1>(g);
      case 2:
        return attend<2>(g);
      case 3:
        return attend<3>(g);
      case 4:
        return attend<4>(g);
      case 5:
        return attend<5>(g);
      case 6:
        return attend<6>(g);
      case 7:
        return attend<7>(g);
      case 8:
        return attend<8>(g);
      default:
        return;
    }
  }

  std::size_t row(std::size_t i) const { return a_.ids != nullptr ? a_.ids[i] : a_.first + i; }
  const T* key(std::size_t i) const {
    return reinterpret_cast<const T*>(static_cast<const char*>(a_.kv.k) + row(i) * key_bytes_);
  }
  const T* value(std::size_t i) const {
    return reinterpret_cast<const T*>(static_cast<const char*>(a_.kv.v) + row(i) * value_bytes_);
  }

  // Rows in order are asked for as one stream: byte i of those that follow `row` by kAhead keys.
  // That may lie past the last row: a prefetch never faults.
  RA_ALWAYS_INLINE static void prefetch_ahead(const T* row, std::size_t bytes, std::size_t i) {
    __builtin_prefetch(reinterpret_cast<const char*>(row) + kAhead * bytes + i);
  }
  // Gathered rows are at addresses that the hardware cannot guess. A line at a time, between the
  // arithmetic: values of the next block with the scores of this one, keys of the block after that
  // with its sums. More at once would only wait for the few buffers that lines arrive in.
  RA_ALWAYS_INLINE void prefetch_value(std::size_t i, std::size_t element) const {
    __builtin_prefetch(value(i + kBlock < a_.n ? i + kBlock : a_.n - 1) + element);
  }
  RA_ALWAYS_INLINE void prefetch_key(std::size_t i, std::size_t element) const {
    __builtin_prefetch(key(i + 2 * kBlock < a_.n ? i + 2 * kBlock : a_.n - 1) + element);
  }
  static void prefetch_row(const T* p, std::size_t bytes) {
    const char* row = reinterpret_cast<const char*>(p);
    for (std::size_t i = 0; i < bytes; i += 64) __builtin_prefetch(row + i);
  }
  void prefetch_first() const {
    for (std::size_t i = 0; i < 2 * kBlock && i < a_.n; ++i) {
      prefetch_row(key(i), key_bytes_);
      if (i < kBlock) prefetch_row(value(i), value_bytes_);
    }
  }

  // The scale behind the elements of a row.
  static float scale_of(const T* row, std::size_t dim) {
    float scale = 0;
    __builtin_memcpy(&scale, row + dim, sizeof scale);
    return scale;
  }

  // One vector of 32-bit units; `n` elements exist, the rest reads as zero.
  static V load_units(const T* p, std::size_t n) {
    alignas(64) T padded[kStep] = {};
    for (std::size_t i = 0; i < n; ++i) padded[i] = p[i];
    return load_units(padded);
  }
  RA_ALWAYS_INLINE static V load_units(const T* p) {
    return S::load(reinterpret_cast<const float*>(p));
  }

  template <std::size_t G>
  void attend(std::size_t g0) {
    V sum[G];
    for (std::size_t g = 0; g < G; ++g) {
      sum[g] = S::zero();
      split_sums(a_.out[g0 + g].acc);
    }
    use_queries<G>(g0);
    if (a_.ids != nullptr) prefetch_first();
    alignas(64) float p[G][kBlock];
    [[maybe_unused]] alignas(64) bf16 weights[kPairs ? G : 1][kBlock];
    for (std::size_t first = 0; first < a_.n; first += kBlock) {
      const std::size_t n = a_.n - first < kBlock ? a_.n - first : kBlock;
      scores<G>(first, n, p);
      RA_UNROLL(8)
      for (std::size_t g = 0; g < G; ++g) softmax(p[g], n, a_.out[g0 + g], sum[g]);
      if constexpr (kInt8) weigh_by_scale<G>(first, n, p);
      std::size_t c = 0;
      if constexpr (kPairs) {
        for (std::size_t g = 0; g < G; ++g)
          for (std::size_t i = 0; i < n; i += kLanes) S::store(&weights[g][i], S::load(p[g] + i));
        for (; c + 2 * kLanes <= a_.kv.value_dim; c += 2 * kLanes)
          add_value_pairs<G>(g0, first, n, c, weights);
      } else {
        for (; c + 2 * kLanes <= a_.kv.value_dim; c += 2 * kLanes)
          add_values<G>(g0, first, n, c, p);
      }
      if (c < a_.kv.value_dim) add_last_values<G>(g0, first, n, c, p);
    }
    for (std::size_t g = 0; g < G; ++g) {
      a_.out[g0 + g].sum += S::reduce_add(sum[g]);
      join_sums(a_.out[g0 + g].acc);
    }
  }

  // Pairs: q in bf16. Otherwise the gains of the keys are taken into q.
  template <std::size_t G>
  void use_queries(std::size_t g0) {
    q_ = a_.q + g0 * a_.q_stride, q_stride_ = a_.q_stride;
    if constexpr (kPairs) {
      for (std::size_t g = 0; g < G; ++g)
        for (std::size_t i = 0; i + kLanes <= a_.kv.head_dim; i += kLanes)
          S::store(&pairs_[g * a_.kv.head_dim + i], S::load(q_ + g * q_stride_ + i));
    }
    if (!kInt8 || a_.kv.k_gain == nullptr) return;
    for (std::size_t g = 0; g < G; ++g)
      for (std::size_t i = 0; i < a_.kv.head_dim; ++i)
        gained_[g * kMaxHeadDim + i] = q_[g * q_stride_ + i] * a_.kv.k_gain[i];
    q_ = gained_, q_stride_ = kMaxHeadDim;
  }

  // The scales of the values are taken into p.
  template <std::size_t G>
  void weigh_by_scale(std::size_t first, std::size_t n, float (&p)[G][kBlock]) const {
    alignas(64) float scale[kBlock] = {};
    for (std::size_t i = 0; i < n; ++i) scale[i] = scale_of(value(first + i), a_.kv.value_dim);
    for (std::size_t i = 0; i < n; i += kLanes)
      for (std::size_t g = 0; g < G; ++g)
        S::store(p[g] + i, S::mul(S::load(p[g] + i), S::load(scale + i)));
  }

  // p[g][i] = scale * q[g0 + g] . key i; -inf from n up to a whole vector.
  template <std::size_t G>
  RA_ALWAYS_INLINE void scores(std::size_t first, std::size_t n, float (&p)[G][kBlock]) const {
    for (std::size_t i = 0; i < n; i += kLanes) {
      const std::size_t count = n - i < kLanes ? n - i : kLanes;
      const T* keys[kLanes];
      for (std::size_t j = 0; j < kLanes; ++j) keys[j] = key(first + i + (j < count ? j : 0));
      V s[G];
      score_lanes<G>(keys, first + i, s);
      const std::size_t whole = a_.kv.head_dim / kStep * kStep;
      if (whole < a_.kv.head_dim) {
        add_last_scores<G>(keys, whole, p, i);
        RA_UNROLL(8)
        for (std::size_t g = 0; g < G; ++g) s[g] = S::add(s[g], S::load(p[g] + i));
      }
      V scale = S::set1(a_.scale);
      if constexpr (kInt8) {
        alignas(64) float scales[kLanes];
        for (std::size_t j = 0; j < kLanes; ++j) scales[j] = scale_of(keys[j], a_.kv.head_dim);
        scale = S::mul(scale, S::load(scales));
      }
      RA_UNROLL(8)
      for (std::size_t g = 0; g < G; ++g) S::store(p[g] + i, S::mul(s[g], scale));
      for (std::size_t j = count; j < kLanes; ++j)
        for (std::size_t g = 0; g < G; ++g) p[g][i + j] = -std::numeric_limits<float>::infinity();
    }
  }

  // s[g] lane j = q row g . keys[j], over whole steps; keys[0] is key `first`
  template <std::size_t G>
  RA_ALWAYS_INLINE void score_lanes(const T* const (&keys)[kLanes], std::size_t first,
                                    V (&s)[G]) const {
    V acc[G][2];  // two chains per row hide the latency of the FMAs when the group is small
    for (std::size_t g = 0; g < G; ++g) acc[g][0] = acc[g][1] = S::zero();
    const float* q = q_;
    const std::size_t q_stride = q_stride_;
    [[maybe_unused]] const bf16* pairs = pairs_;
    for (std::size_t d = 0; d + kStep <= a_.kv.head_dim; d += kStep) {
      V unit[kLanes];
      RA_UNROLL(16)
      for (std::size_t j = 0; j < kLanes; ++j) {
        unit[j] = load_units(keys[j] + d);
        if (a_.ids == nullptr) {
          prefetch_ahead(keys[0], key_bytes_, (d / kStep * kLanes + j) * kStep * sizeof(T));
        } else {
          prefetch_value(first + j, d);
        }
      }
      S::transpose(unit);
      RA_UNROLL(16)
      for (std::size_t j = 0; j < kLanes; ++j) {
        RA_UNROLL(8)
        for (std::size_t g = 0; g < G; ++g) {
          if constexpr (kPairs) {
            const V of_q = S::set1_pair(pairs + g * a_.kv.head_dim + d + 2 * j);
            acc[g][j & 1] = S::fma_pairs(of_q, unit[j], acc[g][j & 1]);
          } else {
            add_unit(q + d + g * q_stride, j, unit[j], acc[g]);
          }
        }
      }
    }
    RA_UNROLL(8)
    for (std::size_t g = 0; g < G; ++g) s[g] = S::add(acc[g][0], acc[g][1]);
  }

  RA_ALWAYS_INLINE static void add_unit(const float* q, std::size_t j, V unit, V (&acc)[2]) {
    if constexpr (kInt8) {
      acc[0] = S::fma(S::set1(q[4 * j]), S::template quarter<0>(unit), acc[0]);
      acc[1] = S::fma(S::set1(q[4 * j + 1]), S::template quarter<1>(unit), acc[1]);
      acc[0] = S::fma(S::set1(q[4 * j + 2]), S::template quarter<2>(unit), acc[0]);
      acc[1] = S::fma(S::set1(q[4 * j + 3]), S::template quarter<3>(unit), acc[1]);
    } else if constexpr (kBf16) {
      acc[0] = S::fma(S::set1(q[2 * j]), S::low_half(unit), acc[0]);
      acc[1] = S::fma(S::set1(q[2 * j + 1]), S::high_half(unit), acc[1]);
    } else {
      acc[j & 1] = S::fma(S::set1(q[j]), unit, acc[j & 1]);
    }
  }

  // The dimensions after the last whole step. Out of line, so that the loops above keep their
  // registers.
  template <std::size_t G>
  [[gnu::noinline]] void add_last_scores(const T* const (&keys)[kLanes], std::size_t d,
                                         float (&p)[G][kBlock], std::size_t at) const {
    const std::size_t left = a_.kv.head_dim - d;
    V unit[kLanes];
    for (std::size_t j = 0; j < kLanes; ++j) unit[j] = load_units(keys[j] + d, left);
    S::transpose(unit);
    for (std::size_t g = 0; g < G; ++g) {
      float q[kStep] = {};
      for (std::size_t i = 0; i < left; ++i) q[i] = q_[g * q_stride_ + d + i];
      V acc[2] = {S::zero(), S::zero()};
      for (std::size_t j = 0; j < kLanes; ++j) add_unit(q, j, unit[j], acc);
      S::store(p[g] + at, S::add(acc[0], acc[1]));
    }
  }

  // p = exp(p - maximum), with the block joined to `out` and to the lanes of `sum`.
  RA_ALWAYS_INLINE void softmax(float* p, std::size_t n, Partial& out, V& sum) const {
    V top = S::load(p);
    for (std::size_t i = kLanes; i < n; i += kLanes) top = S::max(top, S::load(p + i));
    if (S::any_greater(top, S::set1(out.max))) raise_maximum(S::reduce_max(top), out, sum);
    for (std::size_t i = 0; i < n; i += kLanes) {
      const V e = exp_lanes<S>(S::sub(S::load(p + i), S::set1(out.max)));
      S::store(p + i, e);
      sum = S::add(sum, e);
    }
  }

  // Rare: the maximum of n scores in random order moves about ln n times.
  [[gnu::noinline]] void raise_maximum(float max, Partial& out, V& sum) const {
    const float keep = __builtin_expf(out.max - max);
    out.max = max;
    out.sum *= keep;
    sum = S::mul(sum, S::set1(keep));
    for (std::size_t i = 0; i < a_.kv.value_dim; ++i) out.acc[i] *= keep;
  }

  // acc[g] <-> out[g0 + g].acc[c .. c + 2 kLanes)
  template <std::size_t G>
  RA_ALWAYS_INLINE void load_sums(std::size_t g0, std::size_t c, V (&acc)[G][2]) const {
    RA_UNROLL(8)
    for (std::size_t g = 0; g < G; ++g) {
      const float* sums = a_.out[g0 + g].acc + c;
      acc[g][0] = S::load(sums), acc[g][1] = S::load(sums + kLanes);
    }
  }
  template <std::size_t G>
  RA_ALWAYS_INLINE void store_sums(std::size_t g0, std::size_t c, const V (&acc)[G][2]) const {
    RA_UNROLL(8)
    for (std::size_t g = 0; g < G; ++g) {
      float* sums = a_.out[g0 + g].acc + c;
      S::store(sums, acc[g][0]), S::store(sums + kLanes, acc[g][1]);
    }
  }

  // out.acc[c .. c + 2 kLanes) += sum of p * v
  template <std::size_t G>
  RA_ALWAYS_INLINE void add_values(std::size_t g0, std::size_t first, std::size_t n, std::size_t c,
                                   const float (&p)[G][kBlock]) const {
    V acc[G][2];
    load_sums(g0, c, acc);
    const T* start = value(first);
    for (std::size_t i = 0; i < n; ++i) {
      V v[2];
      load_values(value(first + i) + c, v);
      prefetch_with_value(start, first, i, c);
      add_value<G>(p, i, v, acc);
    }
    store_sums(g0, c, acc);
  }

  // The same with the weights in bf16: two keys at a time, their elements beside each other.
  template <std::size_t G>
  RA_ALWAYS_INLINE void add_value_pairs(std::size_t g0, std::size_t first, std::size_t n,
                                        std::size_t c, const bf16 (&weights)[G][kBlock]) const {
    V acc[G][2];
    load_sums(g0, c, acc);
    const T* start = value(first);
    for (std::size_t i = 0; i < n; i += 2) {
      const V a = load_units(value(first + i) + c);
      prefetch_with_value(start, first, i, c);
      V b = S::zero();  // the weight behind the last is 0, what lies there may be no number
      if (i + 1 < n) {
        b = load_units(value(first + i + 1) + c);
        prefetch_with_value(start, first, i + 1, c);
      }
      const V low = S::unpack_low(a, b), high = S::unpack_high(a, b);
      RA_UNROLL(8)
      for (std::size_t g = 0; g < G; ++g) {
        const V weight = S::set1_pair(&weights[g][i]);
        acc[g][0] = S::fma_pairs(weight, low, acc[g][0]);
        acc[g][1] = S::fma_pairs(weight, high, acc[g][1]);
      }
    }
    store_sums(g0, c, acc);
  }

  // Asks for as much as elements c .. c + 2 kLanes of value first + i hold; `start` is value
  // `first`.
  RA_ALWAYS_INLINE void prefetch_with_value(const T* start, std::size_t first, std::size_t i,
                                            std::size_t c) const {
    constexpr std::size_t kBytes = 2 * kLanes * sizeof(T);
    const std::size_t ahead = (c / (2 * kLanes) * kBlock + i) * kBytes;
    for (std::size_t b = 0; b < kBytes; b += 64) {
      if (a_.ids == nullptr) {
        prefetch_ahead(start, value_bytes_, ahead + b);
      } else {
        prefetch_key(first + i, c + b / sizeof(T));
      }
    }
  }

  template <std::size_t G>
  RA_ALWAYS_INLINE static void add_value(const float (&p)[G][kBlock], std::size_t i,
                                         const V (&v)[2], V (&acc)[G][2]) {
    RA_UNROLL(8)
    for (std::size_t g = 0; g < G; ++g) {
      const V weight = S::set1(p[g][i]);
      acc[g][0] = S::fma(weight, v[0], acc[g][0]);
      acc[g][1] = S::fma(weight, v[1], acc[g][1]);
    }
  }

  // The values after the last whole step, in zero-padded copies.
  template <std::size_t G>
  [[gnu::noinline]] void add_last_values(std::size_t g0, std::size_t first, std::size_t n,
                                         std::size_t c, const float (&p)[G][kBlock]) const {
    const std::size_t left = a_.kv.value_dim - c;
    V acc[G][2];
    for (std::size_t g = 0; g < G; ++g) acc[g][0] = acc[g][1] = S::zero();
    for (std::size_t i = 0; i < n; ++i) {
      alignas(64) T padded[2 * kLanes] = {};
      for (std::size_t j = 0; j < left; ++j) padded[j] = value(first + i)[c + j];
      V v[2];
      load_values(padded, v);
      add_value<G>(p, i, v, acc);
    }
    for (std::size_t g = 0; g < G; ++g) {
      alignas(64) float sums[2 * kLanes];
      S::store(sums, acc[g][0]), S::store(sums + kLanes, acc[g][1]);
      if constexpr (kBf16) {
        V a, b;
        S::interleave(acc[g][0], acc[g][1], a, b);
        S::store(sums, a), S::store(sums + kLanes, b);
      }
      for (std::size_t j = 0; j < left; ++j) a_.out[g0 + g].acc[c + j] += sums[j];
    }
  }

  // Two vectors of values: the even and the odd elements if bf16, else the halves.
  RA_ALWAYS_INLINE static void load_values(const T* p, V (&v)[2]) {
    if constexpr (kBf16) {
      const V pairs = load_units(p);
      v[0] = S::low_half(pairs), v[1] = S::high_half(pairs);
    } else {
      v[0] = S::load(p), v[1] = S::load(p + kLanes);
    }
  }

  // While blocks are added, each whole step of out.acc holds its values in the order of
  // load_values, or in that of unpack_low and unpack_high.
  void split_sums(float* p) const {
    for (std::size_t c = 0; c + 2 * kLanes <= a_.kv.value_dim; c += 2 * kLanes) split_step(p + c);
  }
  void join_sums(float* p) const {
    for (std::size_t c = 0; c + 2 * kLanes <= a_.kv.value_dim; c += 2 * kLanes) join_step(p + c);
  }
  static void split_step(float* p) {
    if constexpr (!kBf16) return;
    V first, second;
    if constexpr (kPairs) {
      S::split_unpacked(S::load(p), S::load(p + kLanes), first, second);
    } else {
      S::deinterleave(S::load(p), S::load(p + kLanes), first, second);
    }
    S::store(p, first), S::store(p + kLanes, second);
  }
  static void join_step(float* p) {
    if constexpr (!kBf16) return;
    V a, b;
    if constexpr (kPairs) {
      S::join_unpacked(S::load(p), S::load(p + kLanes), a, b);
    } else {
      S::interleave(S::load(p), S::load(p + kLanes), a, b);
    }
    S::store(p, a), S::store(p + kLanes, b);
  }

  const PartialArgs& a_;
  std::size_t key_bytes_, value_bytes_;
  const float* q_ = nullptr;  // of the rows being attended
  std::size_t q_stride_ = 0;
  float gained_[kInt8 ? kMaxGroup * kMaxHeadDim : 1];
  bf16 pairs_[kPairs ? kMaxGroup * kMaxHeadDim : 1];  // [rows being attended, head_dim]
};

template <class S>
void partial_lanes(const PartialArgs& a) {
  switch (a.kv.type) {
    case KvType::kF32:
      return PartialLanes<S, float>(a).run();
    case KvType::kBf16:
      if (S::kMultipliesPairs && !a.exact_f32)
        return PartialLanes<S, bf16, S::kMultipliesPairs>(a).run();
      return PartialLanes<S, bf16>(a).run();
    case KvType::kInt8:
      return PartialLanes<S, std::int8_t>(a).run();
  }
}

}  // namespace
}  // namespace ra::kernels
