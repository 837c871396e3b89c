// SPDX-License-Identifier: Apache-2.0
// Integer inner products by VPDPBUSD: 64 weights an instruction, two for the bytes of an
// activation. Decode is bound by memory, so what counts is that the work per cache line of weights
// stays below the time the line takes to arrive (about 15 cycles at 10 GB/s per core): several rows
// share the loads and expansions of the activations, and the next rows are prefetched while these
// are multiplied, in the order of their addresses: prefetched each beside its own, rows of less
// than a kilobyte came from memory at half the rate (Zen 4).
#include <immintrin.h>

#include "kernels/cpu/lanes_avx512.h"
#include "kernels/cpu/unpack_avx512.h"
#include "kernels/cpu/unroll.h"
#include "kernels/gemv.h"

namespace ra::kernels {
namespace {

constexpr std::size_t kLine = 64;     // bytes
constexpr std::size_t kAhead = 4096;  // bytes prefetched at least
// Four rows and the four after them, which are prefetched, have to fit a first-level cache of 32
// KiB beside the activations.
constexpr std::size_t kMostTileBytes = 12288;

// R rows of weights times N rows of activations.
template <int R, int N>
struct Tile {
  const std::uint8_t* row[R];
  QuantizedRow x[N];
  std::size_t cols;
  std::size_t ahead;  // bytes from the first row to that of the tile which is prefetched
  float out[N][R];
};

RA_ALWAYS_INLINE void prefetch(const std::uint8_t* p, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; i += kLine)
    _mm_prefetch(reinterpret_cast<const char*>(p + i), _MM_HINT_T0);
}

// 64 weights. VPDPBUSD takes them unsigned: signed ones are |w| * (sign(w) x).
template <bool kSigned>
class Weights {
 public:
  RA_ALWAYS_INLINE explicit Weights(__m512i w) : w_(w) {
    if constexpr (kSigned) {
      negative_ = _mm512_movepi8_mask(w);
      w_ = _mm512_abs_epi8(w);
    }
  }
  // sum + 16 sums of four products.
  RA_ALWAYS_INLINE __m512i dot(__m512i sum, __m512i x) const {
    if constexpr (kSigned) x = _mm512_mask_sub_epi8(x, negative_, _mm512_setzero_si512(), x);
    return _mm512_dpbusd_epi32(sum, w_, x);
  }

 private:
  __m512i w_;
  __mmask64 negative_ = 0;
};

template <int R, int N>
RA_ALWAYS_INLINE void write_sums(Tile<R, N>& tile, const __m512 (&acc)[R][N]) {
  RA_UNROLL(4)
  for (int t = 0; t < N; ++t) {
    if constexpr (R == 4) {
      _mm_storeu_ps(tile.out[t], sums_of_four(acc[0][t], acc[1][t], acc[2][t], acc[3][t]));
    } else {
      for (int r = 0; r < R; ++r) tile.out[t][r] = _mm512_reduce_add_ps(acc[r][t]);
    }
  }
}

// One row of activations for four blocks of 32.
struct QuadX {
  // Lane i: bytes of values 0-15 and 16-31 of block i, as in QuadsOf::load.
  __m512i high[2], low[2];
  __m512 scale;   // lane 2 * i: of block i; lanes as in QuadsOf::scales, the others 0
  __m512 addend;  // what scales() is to be multiplied with for the min or the offset
};

RA_ALWAYS_INLINE void load_halves(const std::int8_t* p, __m512i (&halves)[2]) {
  const __m512i a = _mm512_load_si512(p), b = _mm512_load_si512(p + 64);
  halves[0] = _mm512_shuffle_i64x2(a, b, 0x88);
  halves[1] = _mm512_shuffle_i64x2(a, b, 0xdd);
}

template <class U>
RA_ALWAYS_INLINE QuadX load_quad(const QuantizedRow& x, std::size_t block) {
  QuadX out;
  load_halves(x.high + 32 * block, out.high);
  load_halves(x.low + 32 * block, out.low);
  const __m256i scale = _mm256_cvtepu32_epi64(_mm_castps_si128(_mm_load_ps(x.scale + block)));
  const __m128 sum = _mm_load_ps(x.sum + block);
  __m256i addend;
  if constexpr (U::kHasMin) {
    addend = _mm256_slli_epi64(_mm256_cvtepu32_epi64(_mm_castps_si128(sum)), 32);
  } else {
    const __m128 less = _mm_mul_ps(sum, _mm_set1_ps(static_cast<float>(-U::kOffset)));
    addend = _mm256_cvtepu32_epi64(_mm_castps_si128(less));
  }
  out.scale = _mm512_castsi512_ps(_mm512_zextsi256_si512(scale));
  out.addend = _mm512_castsi512_ps(_mm512_zextsi256_si512(addend));
  return out;
}

template <class F, int R, int N>
RA_ALWAYS_INLINE void multiply_quad(const std::uint8_t* const (&p)[R], const QuadX (&x)[N],
                                    __m512 (&acc)[R][N]) {
  using U = QuadsOf<F>;
  const __m512i block_of_lane = _mm512_setr_epi32(0, 0, 0, 0, 2, 2, 2, 2, 4, 4, 4, 4, 6, 6, 6, 6);
  RA_UNROLL(4)
  for (int r = 0; r < R; ++r) {
    __m512i lo, hi;
    U::load(p[r], lo, hi);
    const Weights<F::kId == Quant::kQ8_0> w[2] = {Weights<F::kId == Quant::kQ8_0>(lo),
                                                  Weights<F::kId == Quant::kQ8_0>(hi)};
    const __m512 d = _mm512_zextps256_ps512(U::scales(p[r]));
    RA_UNROLL(4)
    for (int t = 0; t < N; ++t) {
      __m512i dot = w[1].dot(w[0].dot(_mm512_setzero_si512(), x[t].high[0]), x[t].high[1]);
      dot = _mm512_slli_epi32(dot, 8);
      dot = w[1].dot(w[0].dot(dot, x[t].low[0]), x[t].low[1]);
      const __m512 factor = _mm512_permutexvar_ps(block_of_lane, _mm512_mul_ps(d, x[t].scale));
      if constexpr (U::kHasMin || U::kOffset != 0)
        acc[r][t] = _mm512_fmadd_ps(d, x[t].addend, acc[r][t]);
      acc[r][t] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot), factor, acc[r][t]);
    }
  }
}

// Blocks of 32. The last one to three of a row are copied and filled up with zeros.
template <class F, int R, int N>
void multiply_quads(Tile<R, N>& tile) {
  constexpr std::size_t kQuadBytes = 4 * F::kBytes;
  __m512 acc[R][N];
  for (auto& row : acc)
    for (__m512& v : row) v = _mm512_setzero_ps();
  const std::size_t blocks = tile.cols / 32;
  const std::uint8_t* p[R];
  for (int r = 0; r < R; ++r) p[r] = tile.row[r];
  QuadX x[N];
  std::size_t b = 0;
  for (; b + 4 <= blocks; b += 4) {
    for (int t = 0; t < N; ++t) x[t] = load_quad<QuadsOf<F>>(tile.x[t], b);
    prefetch(tile.row[0] + tile.ahead + b / 4 * R * kQuadBytes, R * kQuadBytes);
    multiply_quad<F>(p, x, acc);
    for (int r = 0; r < R; ++r) p[r] += kQuadBytes;
  }
  if (b < blocks) {
    prefetch(tile.row[0] + tile.ahead + b / 4 * R * kQuadBytes, (blocks - b) * R * F::kBytes);
    std::uint8_t copy[R][kQuadBytes] = {};
    for (int r = 0; r < R; ++r) {
      std::memcpy(copy[r], p[r], (blocks - b) * F::kBytes);
      p[r] = copy[r];
    }
    for (int t = 0; t < N; ++t) x[t] = load_quad<QuadsOf<F>>(tile.x[t], b);
    multiply_quad<F>(p, x, acc);
  }
  write_sums(tile, acc);
}

// Lane i: the sub-block of a block of 256 that lanes 4 * i .. 4 * i + 3 of chunk `c` belong to.
template <std::size_t kSubs>
RA_ALWAYS_INLINE __m512i sub_of_lane(int c) {
  const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  return kSubs == 16 ? _mm512_add_epi32(_mm512_srli_epi32(lane, 2), _mm512_set1_epi32(4 * c))
                     : _mm512_add_epi32(_mm512_srli_epi32(lane, 3), _mm512_set1_epi32(2 * c));
}

// Blocks of 256.
template <class F, int R, int N>
void multiply_chunks(Tile<R, N>& tile) {
  using U = ChunksOf<F>;
  constexpr bool kSubtracts = U::kHasMin || U::kOffset != 0;
  const __m512i lane_sub[4] = {sub_of_lane<U::kSubs>(0), sub_of_lane<U::kSubs>(1),
                               sub_of_lane<U::kSubs>(2), sub_of_lane<U::kSubs>(3)};
  const __m512i twice = _mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
  __m512 acc[R][N];
  for (auto& row : acc)
    for (__m512& v : row) v = _mm512_setzero_ps();
  for (std::size_t b = 0; b < tile.cols / 256; ++b) {
    prefetch(tile.row[0] + tile.ahead + b * R * F::kBytes, R * F::kBytes);
    __m512 scale[N], sum[N];  // one lane per sub-block
    RA_UNROLL(4)
    for (int t = 0; t < N; ++t) {
      const QuantizedRow& x = tile.x[t];
      const __m512 scale8 = _mm512_castps256_ps512(_mm256_load_ps(x.scale + 8 * b));
      if constexpr (U::kSubs == 16) {
        scale[t] = _mm512_permutexvar_ps(twice, scale8);
        sum[t] = _mm512_load_ps(x.half_sum + 16 * b);
      } else {
        scale[t] = scale8;
        sum[t] = _mm512_maskz_loadu_ps(0x00ff, x.sum + 8 * b);
      }
      if constexpr (U::kOffset != 0)
        sum[t] = _mm512_mul_ps(sum[t], _mm512_set1_ps(static_cast<float>(U::kOffset)));
    }
    RA_UNROLL(4)
    for (int r = 0; r < R; ++r) {
      const std::uint8_t* p = tile.row[r] + b * F::kBytes;
      const __m512 d = U::scales(p);
      __m512 m = d;
      if constexpr (U::kHasMin) m = U::mins(p);
      __m512 factor[N];
      RA_UNROLL(4)
      for (int t = 0; t < N; ++t) {
        factor[t] = _mm512_mul_ps(d, scale[t]);
        if constexpr (kSubtracts) acc[r][t] = _mm512_fnmadd_ps(m, sum[t], acc[r][t]);
      }
      RA_UNROLL(4)
      for (int c = 0; c < 4; ++c) {
        const __m512i w = U::load(p, static_cast<std::size_t>(c));
        RA_UNROLL(4)
        for (int t = 0; t < N; ++t) {
          const std::size_t at = 256 * b + 64 * static_cast<std::size_t>(c);
          __m512i dot = _mm512_dpbusd_epi32(_mm512_setzero_si512(), w,
                                            _mm512_load_si512(tile.x[t].high + at));
          dot = _mm512_dpbusd_epi32(_mm512_slli_epi32(dot, 8), w,
                                    _mm512_load_si512(tile.x[t].low + at));
          acc[r][t] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot),
                                      _mm512_permutexvar_ps(lane_sub[c], factor[t]), acc[r][t]);
        }
      }
    }
  }
  write_sums(tile, acc);
}

template <class F, int R, int N>
void multiply_rows(const GemvArgs& a, std::size_t row, std::size_t token) {
  Tile<R, N> tile;
  for (int r = 0; r < R; ++r)
    tile.row[r] = reinterpret_cast<const std::uint8_t*>(a.w) + (row + r) * a.row_bytes;
  for (int t = 0; t < N; ++t) tile.x[t] = quantized_row(a.x, token + t);
  tile.cols = a.x.cols;
  const std::size_t tile_bytes = R * a.row_bytes;
  tile.ahead = (kAhead + tile_bytes - 1) / tile_bytes * tile_bytes;
  if constexpr (F::kBlock == 32) {
    multiply_quads<F>(tile);
  } else {
    multiply_chunks<F>(tile);
  }
  for (int t = 0; t < N; ++t) {
    float* y = a.y + (token + t) * a.y_stride + row;
    for (int r = 0; r < R; ++r) y[r] = (a.add ? y[r] : 0.0f) + tile.out[t][r];
  }
}

// All tokens of R rows, so that the rows are read from memory once.
template <class F, int R>
void multiply_tokens(const GemvArgs& a, std::size_t row) {
  std::size_t t = 0;
  for (; t + 4 <= a.x.tokens; t += 4) multiply_rows<F, R, 4>(a, row, t);
  if (t + 2 <= a.x.tokens) multiply_rows<F, R, 2>(a, row, t), t += 2;
  if (t < a.x.tokens) multiply_rows<F, R, 1>(a, row, t);
}

template <class F>
void multiply(const GemvArgs& a) {
  std::size_t r = 0;
  if (4 * a.row_bytes <= kMostTileBytes)
    for (; r + 4 <= a.rows; r += 4) multiply_tokens<F, 4>(a, r);
  for (; r + 2 <= a.rows; r += 2) multiply_tokens<F, 2>(a, r);
  for (; r < a.rows; ++r) multiply_tokens<F, 1>(a, r);
}

// F32, F16 and BF16 weights.
template <class Load>
void multiply_floats(const GemvArgs& a, Load load) {
  const std::size_t cols = a.x.cols;
  for (std::size_t r = 0; r < a.rows; ++r) {
    const std::byte* w = a.w + r * a.row_bytes;
    for (std::size_t t = 0; t < a.x.tokens; ++t) {
      const float* x = a.x.x + t * a.x.x_stride;
      __m512 s[4] = {_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps(),
                     _mm512_setzero_ps()};
      std::size_t i = 0;
      for (; i + 64 <= cols; i += 64)
        for (std::size_t c = 0; c < 4; ++c)
          s[c] = _mm512_fmadd_ps(load(w, i + 16 * c, 0xffff), load16(x + i + 16 * c), s[c]);
      for (; i < cols; i += 16) {
        const __mmask16 m = first_lanes(cols - i);
        s[0] = _mm512_fmadd_ps(load(w, i, m), load16(x + i, m), s[0]);
      }
      const float sum =
          _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(s[0], s[1]), _mm512_add_ps(s[2], s[3])));
      float& y = a.y[t * a.y_stride + r];
      y = (a.add ? y : 0.0f) + sum;
    }
  }
}

}  // namespace

template <>
void gemv<Level::kAvx512>(const GemvArgs& a) noexcept {
  if (visit_format(a.type, [&]<class F>() { multiply<F>(a); })) return;
  switch (a.type) {
    case Quant::kF32:
      return multiply_floats(a, [](const std::byte* w, std::size_t i, __mmask16 m) {
        return _mm512_maskz_loadu_ps(m, w + 4 * i);
      });
    case Quant::kF16:
      return multiply_floats(a, [](const std::byte* w, std::size_t i, __mmask16 m) {
        return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(m, w + 2 * i));
      });
    default:  // BF16
      return multiply_floats(a, [](const std::byte* w, std::size_t i, __mmask16 m) {
        return widen(_mm256_maskz_loadu_epi16(m, w + 2 * i));
      });
  }
}

}  // namespace ra::kernels
