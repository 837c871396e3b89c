// SPDX-License-Identifier: Apache-2.0
// Causal attention on bf16 tiles; see attend_tiles.h for the blocking. For one tile of 16 query
// rows and one block of keys:
//   S^T [keys, 32]      = K [keys, d] * Q^T [d, 16]        K as it lies, Q^T packed per token tile
//   P^T                 = exp2(S^T - reference), rounded to bf16 pairs of keys
//   O^T [value_dim, 32] = V^T [value_dim, keys] * P^T      V^T packed per key block
// with f32 sums throughout.
//
// AMX does 16 products of 16 cycles for 32 rows and 32 keys; an exponential in f32 costs the vector
// units more than that, and where they multiply too it takes their place. So Q^T is scaled until a
// score counts 1/128 of a power of two, and 127 * 128 - reference is added: the score, as an
// integer, then *is* the bf16 number whose exponent is right and whose mantissa is the fraction f
// where 2^f - 1 is wanted. A table of the difference finishes it, for 32 weights at a time
// (Schraudolph, "A fast, compact approximation of the exponential function", 1999, with a table for
// his constant). Both roundings are of the size of bf16's own.
//
// For sources built with the flags of Unit only.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <limits>

#include "kernels/attend.h"
#include "kernels/cpu/attend_tiles.h"
#include "kernels/cpu/bf16_tiles.h"
#include "kernels/cpu/simd_avx512.h"
#include "kernels/cpu/tile_f32.h"

namespace ra::kernels {
namespace {

using attend_tiles::round_up;
using attend_tiles::smaller;

constexpr std::size_t kCols = 32;   // query rows at once: two lane tiles share each tile of K and V
constexpr std::size_t kChunk = 64;  // keys of one step
// Keys packed at a time: bf16 where the other levels have room for f32.
constexpr std::size_t kPacked = 2 * attend_tiles::kKeyBlock;
constexpr std::size_t kLaneScores = 16 * kChunk;         // floats
constexpr std::size_t kLaneWeights = kChunk / 2 * 16;    // floats
constexpr std::size_t kValueTiles = kPacked / 32 * 256;  // floats of 16 value dimensions of V^T
constexpr float kLn2 = 0.693147180559945309f;
constexpr float kUnits = 128;         // scores are counted in units of log2(weight) / kUnits
constexpr float kOne = 127 * kUnits;  // the bits of 1.0 in bf16
// The reference of a row's softmax lags its running maximum by at most this much (in powers of
// two): bf16 and f32 have the exponents to spare, and most blocks then need no rescaling of O^T.
constexpr int kSlack = 8;

// 128 (f - (2^f - 1)) at f = (2 j + 1/2) / 128, rounded: what the mantissa of 2^f lacks.
alignas(64) constexpr std::uint8_t kMantissaExcess[64] = {
    0,  1,  1,  2,  2,  3,  4,  4,  5,  5,  5,  6,  6,  7,  7,  8,  8,  8,  9,  9,  9,  9,
    10, 10, 10, 10, 10, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 11, 10, 10, 10,
    10, 10, 9,  9,  9,  8,  8,  8,  7,  7,  6,  6,  5,  5,  4,  3,  3,  2,  1,  1};

// Weights of two keys (scores as kOne + units) for 16 rows each, as bf16 pairs; 0 where the score
// is below the range of bf16.
RA_ALWAYS_INLINE __m512i pair_weights(__m512 even, __m512 odd, __m512i excess) {
  const __m512i in_pairs = _mm512_set_epi64(
      0x0f0e07060d0c0504, 0x0b0a030209080100, 0x0f0e07060d0c0504, 0x0b0a030209080100,
      0x0f0e07060d0c0504, 0x0b0a030209080100, 0x0f0e07060d0c0504, 0x0b0a030209080100);
  const __m512i apart = _mm512_packus_epi32(_mm512_cvtps_epi32(even), _mm512_cvtps_epi32(odd));
  const __m512i w = _mm512_shuffle_epi8(apart, in_pairs);
  const __m512i less =
      _mm512_maskz_permutexvar_epi8(0x5555555555555555u, _mm512_srli_epi16(w, 1), excess);
  return _mm512_subs_epu16(w, less);
}

// p[0..min(n, 16)) as 16 bf16, zero past n.
template <class T>
RA_ALWAYS_INLINE __m256i sixteen(const T* p, std::size_t n) {
  const __mmask16 m = first_lanes(n);
  if constexpr (sizeof(T) == 2) {
    return _mm256_maskz_loadu_epi16(m, p);
  } else {
    return reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(m, p)));
  }
}

// 16 elements from row[at] of `dim` int8 in f32; zeros past `dim`.
RA_ALWAYS_INLINE __m512 sixteen_int8(const std::int8_t* row, std::size_t at, std::size_t dim,
                                     const float* gain) {
  float scale = 0;
  __builtin_memcpy(&scale, row + dim, sizeof scale);
  const __mmask16 m = first_lanes(at < dim ? dim - at : 0);
  const __m512i x = _mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(m, row + at));
  const __m512 y = _mm512_mul_ps(_mm512_cvtepi32_ps(x), _mm512_set1_ps(scale));
  return gain != nullptr ? _mm512_mul_ps(y, _mm512_maskz_loadu_ps(m, gain + at)) : y;
}

// Unit multiplies:
//   using Scope                                             what it holds while it is used
//   score(q, d, keys, row_bytes, s)                         s [2 lane tiles][64 keys][16 lanes] =
//     K [64 rows of d bf16, row_bytes apart] * Q^T, B tiles [2 lane tiles][d / 32]
//   add_values(v, p, dv, out)                               out [2 lane tiles][dv][16 lanes] +=
//     V^T, two A tiles, of kValueTiles for 16 value dimensions each, * P^T of 64 keys
template <class Unit, class T>
class CausalTiles {
 public:
  CausalTiles(const CausalArgs& a, std::size_t first_token, std::size_t tokens)
      : a_(a),
        first_(first_token),
        rows_(tokens * a.group),
        d_(round_up(a.kv.head_dim, 32)),
        dv_(round_up(a.kv.value_dim, 32)) {
    const attend_tiles::Layout l =
        attend_tiles::layout(a.tokens, a.group, a.kv.head_dim, a.kv.value_dim);
    float* base = reinterpret_cast<float*>(a.scratch);
    q_ = base + l.q, out_ = base + l.out, start_ = base + l.max, sum_ = base + l.sum;
    limit_ = base + l.limit, k_ = base + l.k, v_ = base + l.v, s_ = base + l.s, p_ = base + l.p;
  }

  void run() {
    pack_queries();
    const std::size_t keys = a_.pos0 + first_ + rows_ / a_.group;
    for (std::size_t key = first_key_of(0); key < keys; key += kPacked) {
      const Keys k = key_block(key, smaller(kPacked, keys - key));
      pack_values(k);
      attend(k);
    }
    write_out();
  }

 private:
  static constexpr bool kInt8 = sizeof(T) == 1;
  struct Keys {  // a block of them, for A tiles
    const void* rows;
    std::size_t row_bytes, first, n;
  };
  struct Step {  // 32 query rows against 64 keys
    std::size_t row, chunk;
  };

  std::size_t last_key(std::size_t row) const { return a_.pos0 + first_ + row / a_.group; }
  std::size_t first_key_of(std::size_t row) const { return first_key(last_key(row), a_.window); }

  // Q^T as B tiles [d / 32][16 pairs][16 rows], scaled to units of weight. Lanes past the last row
  // repeat it.
  void pack_queries() {
    const std::size_t d = a_.kv.head_dim, padded = round_up(rows_, kCols);
    const __m512 scale = _mm512_set1_ps(a_.scale * 1.44269504088896341f * kUnits);
    for (std::size_t r0 = 0; r0 < padded; r0 += 16)
      for (std::size_t c = 0; c < d; c += 32) {
        __m512 pairs[16];
        for (std::size_t j = 0; j < 16; ++j) {
          const std::size_t row = smaller(r0 + j, rows_ - 1);
          const float* src =
              a_.q + (first_ + row / a_.group) * a_.q_stride + row % a_.group * d + c;
          const std::size_t left = d - c;
          pairs[j] =
              pack_bf16(_mm512_mul_ps(load_masked(src, left), scale),
                        _mm512_mul_ps(load_masked(src + 16, left > 16 ? left - 16 : 0), scale));
        }
        Simd::transpose(pairs);
        float* to = q_ + r0 * d_ / 2 + c / 32 * 256;
        for (std::size_t j = 0; j < 16; ++j) _mm512_store_ps(to + 16 * j, pairs[j]);
      }
    for (std::size_t r = 0; r < padded; ++r)
      limit_[r] = static_cast<float>(last_key(smaller(r, rows_ - 1)));  // exact below 2^24
    attend_tiles::fill(out_, padded * dv_, 0.0f);
    attend_tiles::fill(sum_, padded, 0.0f);
    attend_tiles::fill(start_, padded, kOne);
  }

  // K rows for A tiles: in place if they are bf16 and fill their tiles, else a padded bf16 copy.
  Keys key_block(std::size_t first, std::size_t n) {
    const std::size_t d = a_.kv.head_dim;
    if constexpr (kInt8) {
      const T* src = static_cast<const T*>(a_.kv.k) + first * row_bytes(KvType::kInt8, d);
      for (std::size_t i = 0; i < n; ++i, src += row_bytes(KvType::kInt8, d))
        for (std::size_t c = 0; c < d_; c += 32)
          _mm512_store_ps(k_ + (i * d_ + c) / 2,
                          pack_bf16(sixteen_int8(src, c, d, a_.kv.k_gain),
                                    sixteen_int8(src, c + 16, d, a_.kv.k_gain)));
      attend_tiles::fill(k_ + n * d_ / 2, (round_up(n, kChunk) - n) * d_ / 2, 0.0f);
    } else {
      const T* src = static_cast<const T*>(a_.kv.k) + first * d;
      if (sizeof(T) == 2 && d == d_ && n % kChunk == 0) return {src, 2 * d, first, n};
      for (std::size_t i = 0; i < round_up(n, kChunk); ++i)
        for (std::size_t c = 0; c < d_; c += 32)
          _mm512_store_ps(k_ + (i * d_ + c) / 2,
                          i < n ? load_bf16(src + i * d + c, d - c) : _mm512_setzero_ps());
    }
    return {k_, 2 * d_, first, n};
  }

  // 16 values of a key from dimension c on, as bf16; zeros past value_dim and for a key that is not
  // `there`.
  RA_ALWAYS_INLINE __m256i values(std::size_t key, std::size_t c, bool there) const {
    const std::size_t dv = a_.kv.value_dim;
    const T* row = static_cast<const T*>(a_.kv.v) + key * (kInt8 ? row_bytes(a_.kv.type, dv) : dv);
    if constexpr (kInt8) {
      if (!there) return _mm256_setzero_si256();
      return reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(sixteen_int8(row, c, dv, nullptr)));
    } else {
      return sixteen(row + c, there && c < dv ? dv - c : 0);
    }
  }

  // V^T as A tiles [value_dim / 16][keys / 32][16 dims][32 keys]; zero past n and value_dim.
  void pack_values(const Keys& k) {
    const std::size_t n = k.n;
    for (std::size_t key = 0; key < round_up(n, kChunk); key += 32)
      for (std::size_t c = 0; c < dv_; c += 16) {
        __m512 pairs[16];
        for (std::size_t j = 0; j < 16; ++j) {
          const std::size_t i = key + 2 * j;
          const __m512i lo = _mm512_cvtepu16_epi32(values(k.first + i, c, i < n));
          const __m512i hi = _mm512_cvtepu16_epi32(values(k.first + i + 1, c, i + 1 < n));
          pairs[j] = _mm512_castsi512_ps(_mm512_or_si512(lo, _mm512_slli_epi32(hi, 16)));
        }
        Simd::transpose(pairs);
        float* to = v_ + c / 16 * kValueTiles + key / 32 * 256;
        for (std::size_t j = 0; j < 16; ++j) _mm512_store_ps(to + 16 * j, pairs[j]);
      }
  }

  void attend(const Keys& k) {
    for (std::size_t row = 0; row < rows_; row += kCols) {
      const std::size_t first = first_key_of(row);
      const std::size_t last = last_key(smaller(row + kCols, rows_) - 1);
      if (last < k.first || k.first + k.n <= first) continue;
      const std::size_t end = smaller(k.n, last - k.first + 1);
      for (std::size_t chunk = first > k.first ? (first - k.first) / kChunk : 0;
           chunk * kChunk < end; ++chunk)
        attend({row, chunk}, k);
    }
  }

  void attend(const Step& s, const Keys& k) {
    if (!weigh(s, k)) {
      raise_reference(s);
      weigh(s, k, /*again=*/true);
    }
    Unit::add_values(v_ + s.chunk * (kChunk / 32) * 256, p_, dv_, out_ + s.row * dv_);
  }

  void mask(const Step& s, const Keys& k) {
    const std::size_t key = k.first + s.chunk * kChunk;
    if (key + kChunk > last_key(s.row) + 1) mask_after(s, key);
    if (key < first_key_of(smaller(s.row + kCols, rows_) - 1)) mask_before(s, key);
  }

  // Keys after a lane's own position get no weight.
  void mask_after(const Step& at, std::size_t key) {
    const __m512 none = _mm512_set1_ps(-std::numeric_limits<float>::infinity());
    for (std::size_t lane = 0; lane < kCols; lane += 16) {
      float* s = s_ + lane / 16 * kLaneScores;
      const __m512 limit = _mm512_load_ps(limit_ + at.row + lane);
      for (std::size_t i = 0; i < kChunk; ++i) {
        const __m512 position = _mm512_set1_ps(static_cast<float>(key + i));
        const __mmask16 ok = _mm512_cmp_ps_mask(position, limit, _CMP_LE_OQ);
        _mm512_store_ps(s + 16 * i, _mm512_mask_mov_ps(none, ok, _mm512_load_ps(s + 16 * i)));
      }
    }
  }

  // Nor do keys before its window.
  void mask_before(const Step& at, std::size_t key) {
    const __m512 none = _mm512_set1_ps(-std::numeric_limits<float>::infinity());
    for (std::size_t lane = 0; lane < kCols; lane += 16) {
      float* s = s_ + lane / 16 * kLaneScores;
      const __m512 limit = _mm512_load_ps(limit_ + at.row + lane);
      for (std::size_t i = 0; i < kChunk; ++i) {
        const __m512 end = _mm512_set1_ps(static_cast<float>(key + i + a_.window));
        const __mmask16 out = _mm512_cmp_ps_mask(end, limit, _CMP_LE_OQ);
        _mm512_store_ps(s + 16 * i, _mm512_mask_mov_ps(_mm512_load_ps(s + 16 * i), out, none));
      }
    }
  }

  // p_ [lane tile][32 keys][16 pairs of keys][16 lanes] = weights of a step, as B tiles. False,
  // with the sums as they were, if a row has no reference yet (its sum is zero then) or a score
  // lies more than kSlack above it; `again` adds whatever there is.
  bool weigh(const Step& at, const Keys& k, bool again = false) {
    if (!again) {
      Unit::score(q_ + at.row * d_ / 2, d_,
                  static_cast<const std::byte*>(k.rows) + at.chunk * kChunk * k.row_bytes,
                  k.row_bytes, s_);
      mask(at, k);
    }
    const __m512i excess = _mm512_load_si512(kMantissaExcess);
    const __m512i odd_half = _mm512_set1_epi32(static_cast<int>(0xffff0000));
    const __m512i limit = _mm512_set1_epi16(static_cast<short>((127 + kSlack) * 128));
    __m512i most = _mm512_setzero_si512();
    __m512 sums[2], before[2];
    for (std::size_t l = 0; l < 2; ++l) {
      const float* s = s_ + l * kLaneScores;
      float* p = p_ + l * kLaneWeights;
      const __m512 start = _mm512_load_ps(start_ + at.row + 16 * l);
      // Not by dot products of bf16 pairs: on AMX they take the tile unit's place.
      __m512 even = _mm512_setzero_ps(), odd = _mm512_setzero_ps();
      RA_UNROLL(16)
      for (std::size_t i = 0; i < kChunk / 2; ++i) {
        const __m512i pair =
            pair_weights(_mm512_add_ps(_mm512_load_ps(s + 32 * i), start),
                         _mm512_add_ps(_mm512_load_ps(s + 32 * i + 16), start), excess);
        most = _mm512_max_epu16(most, pair);
        even = _mm512_add_ps(even, _mm512_castsi512_ps(_mm512_slli_epi32(pair, 16)));
        odd = _mm512_add_ps(odd, _mm512_castsi512_ps(_mm512_and_si512(pair, odd_half)));
        _mm512_store_si512(p + 16 * i, pair);
      }
      sums[l] = _mm512_add_ps(even, odd);
      before[l] = _mm512_load_ps(sum_ + at.row + 16 * l);
    }
    const __m512 zero = _mm512_setzero_ps();
    const bool fits = _mm512_cmpgt_epu16_mask(most, limit) == 0 &&
                      (_mm512_cmp_ps_mask(before[0], zero, _CMP_EQ_OQ) |
                       _mm512_cmp_ps_mask(before[1], zero, _CMP_EQ_OQ)) == 0;
    for (std::size_t l = 0; l < 2 && (fits || again); ++l)
      _mm512_store_ps(sum_ + at.row + 16 * l, _mm512_add_ps(before[l], sums[l]));
    return fits;
  }

  // Makes the largest score of a step the reference where it is above the one there is: the new
  // start puts it at kOne.
  void raise_reference(const Step& at) {
    for (std::size_t l = 0; l < 2; ++l) {
      const float* s = s_ + l * kLaneScores;
      __m512 most = _mm512_load_ps(s);
      for (std::size_t i = 1; i < kChunk; ++i)
        most = _mm512_max_ps(most, _mm512_load_ps(s + 16 * i));
      const std::size_t lanes = at.row + 16 * l;
      const __m512 before = _mm512_load_ps(start_ + lanes), sum = _mm512_load_ps(sum_ + lanes);
      most = _mm512_add_ps(most, before);
      const __m512 one = _mm512_set1_ps(kOne);
      const __mmask16 lacks = _mm512_cmp_ps_mask(sum, _mm512_setzero_ps(), _CMP_EQ_OQ);
      const __mmask16 sees = _mm512_cmp_ps_mask(
          most, _mm512_set1_ps(-std::numeric_limits<float>::infinity()), _CMP_GT_OQ);
      const __mmask16 above = _mm512_cmp_ps_mask(most, one, _CMP_GT_OQ);
      const __m512 fall =
          _mm512_maskz_sub_ps(static_cast<__mmask16>((lacks & sees) | above), one, most);
      _mm512_store_ps(start_ + lanes, _mm512_add_ps(before, fall));
      const __m512 keep =
          _mm512_maskz_mov_ps(static_cast<__mmask16>(~lacks),
                              exp_lanes<Simd>(_mm512_mul_ps(fall, _mm512_set1_ps(kLn2 / kUnits))));
      _mm512_store_ps(sum_ + lanes, _mm512_mul_ps(sum, keep));
      float* out = out_ + lanes * dv_;
      for (std::size_t j = 0; j < dv_; ++j)
        _mm512_store_ps(out + 16 * j, _mm512_mul_ps(_mm512_load_ps(out + 16 * j), keep));
    }
  }

  // Transposes 16 x 16 at a time: rows of `out` are lanes of O^T.
  void write_out() {
    const std::size_t dv = a_.kv.value_dim;
    for (std::size_t row = 0; row < rows_; row += 16) {
      const __m512 inverse = _mm512_div_ps(_mm512_set1_ps(1), _mm512_load_ps(sum_ + row));
      for (std::size_t c = 0; c < dv; c += 16) {
        __m512 o[16];
        for (std::size_t j = 0; j < 16; ++j)
          o[j] = _mm512_mul_ps(_mm512_load_ps(out_ + row * dv_ + 16 * (c + j)), inverse);
        Simd::transpose(o);
        for (std::size_t j = 0; j < 16 && row + j < rows_; ++j) {
          float* dst = a_.out + (first_ + (row + j) / a_.group) * a_.out_stride +
                       (row + j) % a_.group * dv + c;
          _mm512_mask_storeu_ps(dst, first_lanes(dv - c), o[j]);
        }
      }
    }
  }

  const CausalArgs& a_;
  std::size_t first_, rows_, d_, dv_;
  float *q_, *out_, *start_, *sum_, *limit_, *k_, *v_, *s_, *p_;
};

template <class Unit, class T>
void run_causal(const CausalArgs& a) {
  [[maybe_unused]] const typename Unit::Scope scope;
  const std::size_t tile = attend_tiles::token_tile(a.tokens, a.group);
  for (std::size_t t = 0; t < a.tokens; t += tile)
    CausalTiles<Unit, T>(a, t, smaller(tile, a.tokens - t)).run();
}

template <class Unit>
void causal_tiles(const CausalArgs& a) {
  if (a.kv.type == KvType::kF32)
    run_causal<Unit, float>(a);
  else if (a.kv.type == KvType::kInt8)
    run_causal<Unit, std::int8_t>(a);
  else
    run_causal<Unit, bf16>(a);
}

}  // namespace
}  // namespace ra::kernels
