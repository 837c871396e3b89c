// SPDX-License-Identifier: Apache-2.0
#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <limits>

#include "kernels/attend.h"
#include "kernels/cpu/amx_tiles.h"
#include "kernels/cpu/attend_tiles.h"
#include "kernels/cpu/tile_f32.h"

// Causal attention on bf16 tiles; see attend_tiles.h for the blocking. For one tile of 16 query
// rows and one block of keys:
//   S^T [keys, 32]      = K [keys, d] * Q^T [d, 16]        K as it lies, Q^T packed per token tile
//   P^T                 = exp2(S^T - reference), rounded to bf16 pairs of keys
//   O^T [value_dim, 32] = V^T [value_dim, keys] * P^T      V^T packed per key block
// with f32 sums throughout.
namespace ra::kernels {
namespace {

using attend_tiles::kKeyBlock;
using attend_tiles::round_up;
using attend_tiles::smaller;

constexpr std::size_t kCols = 32;   // query rows at once: two lane tiles share each tile of K and V
constexpr std::size_t kChunk = 32;  // keys between two looks at the reference: one step of P * V
constexpr std::size_t kLaneScores = 16 * kChunk;           // floats, see chunk_scores
constexpr std::size_t kLaneWeights = kKeyBlock / 2 * 16;   // floats, see chunk_weights
constexpr std::size_t kValueTiles = kKeyBlock / 32 * 256;  // floats of 16 value dimensions of V^T
constexpr float kLn2 = 0.693147180559945309f;
// The reference of a row's softmax lags its running maximum by at most this much (in powers of
// two): bf16 and f32 have the exponents to spare, and most blocks then need no rescaling of O^T.
constexpr float kSlack = 8;

// 2^x for x <= 127, relative error below 7.5e-5 (the result is rounded to bf16, 2e-3); 0 at -inf.
// Cubic on the fraction in [0, 1); scalef takes the floor of x itself.
RA_ALWAYS_INLINE __m512 exp2_bf16(__m512 x) {
  const __m512 f = _mm512_reduce_ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
  __m512 p = _mm512_set1_ps(0.07802452f);
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.22606716f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.69583356f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.9999252f));
  return _mm512_scalef_ps(p, x);
}

// Low half: even, high half: odd, rounded half up (the values are not negative).
RA_ALWAYS_INLINE __m512i pair_bf16(__m512 even, __m512 odd) {
  const __m512i half = _mm512_set1_epi32(0x8000);
  const __m512i lo = _mm512_srli_epi32(_mm512_add_epi32(_mm512_castps_si512(even), half), 16);
  const __m512i hi = _mm512_add_epi32(_mm512_castps_si512(odd), half);
  return _mm512_mask_mov_epi16(lo, 0xaaaaaaaau, hi);
}

// A value-dimension tile of V^T: 32 keys of 16 value dimensions, keys beyond `keys` zero.
template <class T>
RA_ALWAYS_INLINE __m256i sixteen(const T* p, std::size_t n) {
  const __mmask16 m = first_lanes(n);
  if constexpr (sizeof(T) == 2) {
    return _mm256_maskz_loadu_epi16(m, p);
  } else {
    return reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(m, p)));
  }
}

template <class T>
class CausalTile {
 public:
  CausalTile(const CausalArgs& a, std::size_t first_token, std::size_t tokens)
      : a_(a),
        first_(first_token),
        rows_(tokens * a.group),
        d_(round_up(a.kv.head_dim, 32)),
        dv_(round_up(a.kv.value_dim, 16)) {
    const attend_tiles::Layout l =
        attend_tiles::layout(a.tokens, a.group, a.kv.head_dim, a.kv.value_dim);
    float* base = reinterpret_cast<float*>(a.scratch);
    q_ = base + l.q, out_ = base + l.out, max_ = base + l.max, sum_ = base + l.sum;
    limit_ = base + l.limit, k_ = base + l.k, v_ = base + l.v, s_ = base + l.s, p_ = base + l.p;
  }

  void run() {
    pack_queries();
    const std::size_t keys = a_.pos0 + first_ + rows_ / a_.group;
    for (std::size_t key = first_key_of(0); key < keys; key += kKeyBlock) {
      const std::size_t n = smaller(kKeyBlock, keys - key);
      const KeyBlock k = key_block(key, n);
      pack_values(key, n);
      for (std::size_t row = 0; row < rows_; row += kCols) attend_block(row, key, n, k);
    }
    write_out();
  }

 private:
  struct KeyBlock {
    const void* rows;
    std::size_t row_bytes;
  };

  std::size_t last_key(std::size_t row) const { return a_.pos0 + first_ + row / a_.group; }
  std::size_t first_key_of(std::size_t row) const { return first_key(last_key(row), a_.window); }

  // Q^T as B tiles [d / 32][16 pairs][16 rows], scaled so that 2^s is the weight. Lanes past the
  // last row repeat it.
  void pack_queries() {
    const std::size_t d = a_.kv.head_dim, padded = round_up(rows_, kCols);
    const __m512 scale = _mm512_set1_ps(a_.scale * 1.44269504088896341f);
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
    attend_tiles::fill(max_, padded, attend_tiles::kNoMaximum);
  }

  // K rows for A tiles: in place if they are bf16 and fill their tiles, else a padded bf16 copy.
  KeyBlock key_block(std::size_t first, std::size_t n) {
    const std::size_t d = a_.kv.head_dim;
    const T* src = static_cast<const T*>(a_.kv.k) + first * d;
    if (sizeof(T) == 2 && d == d_ && n % kChunk == 0) return {src, 2 * d};
    for (std::size_t i = 0; i < round_up(n, kChunk); ++i)
      for (std::size_t c = 0; c < d_; c += 32)
        _mm512_store_ps(k_ + (i * d_ + c) / 2,
                        i < n ? load_bf16(src + i * d + c, d - c) : _mm512_setzero_ps());
    return {k_, 2 * d_};
  }

  // V^T as A tiles [value_dim / 16][keys / 32][16 dims][32 keys]; zero past n and value_dim.
  void pack_values(std::size_t first, std::size_t n) {
    const std::size_t dv = a_.kv.value_dim;
    const T* src = static_cast<const T*>(a_.kv.v) + first * dv;
    for (std::size_t key = 0; key < n; key += 32)
      for (std::size_t c = 0; c < dv; c += 16) {
        __m512 pairs[16];
        for (std::size_t j = 0; j < 16; ++j) {
          const T* even = src + (key + 2 * j) * dv + c;
          const std::size_t left = dv - c, i = key + 2 * j;
          const __m512i lo = _mm512_cvtepu16_epi32(sixteen(even, i < n ? left : 0));
          const __m512i hi = _mm512_cvtepu16_epi32(sixteen(even + dv, i + 1 < n ? left : 0));
          pairs[j] = _mm512_castsi512_ps(_mm512_or_si512(lo, _mm512_slli_epi32(hi, 16)));
        }
        Simd::transpose(pairs);
        float* to = v_ + (c / 16 * (kKeyBlock / 32) + key / 32) * 256;
        for (std::size_t j = 0; j < 16; ++j) _mm512_store_ps(to + 16 * j, pairs[j]);
      }
  }

  // The chunk's scores are multiplied one chunk ahead of the softmax, so that the tile unit works
  // while the vector units take exponentials: the two share no operands, and the loop body of a
  // chunk fits the reorder window.
  void attend_block(std::size_t row, std::size_t key, std::size_t n, const KeyBlock& k) {
    const std::size_t last_row = smaller(row + kCols, rows_) - 1, last = last_key(last_row);
    const std::size_t first = first_key_of(row), all_see = first_key_of(last_row);
    if (key > last || key + n <= first) return;
    const std::size_t chunks = round_up(smaller(n, last - key + 1), kChunk) / kChunk;
    const std::size_t begin = first > key ? (first - key) / kChunk : 0;
    std::size_t weighed = begin;  // chunks whose values are in `out`
    scores(row, begin, k);
    for (std::size_t c = begin; c < chunks; ++c) {
      if (c + 1 < chunks) scores(row, c + 1, k);
      if (key + kChunk * (c + 1) > last_key(row) + 1) mask_after(row, key, c);
      if (key + kChunk * c < all_see) mask_before(row, key, c);
      const Maxima max = chunk_maxima(c);
      if (exceeds_reference(row, max)) {  // what waits was weighed with the old reference
        weigh_values(row, weighed, c);
        weighed = c;
        raise_reference(row, max);
      }
      softmax(row, c);
    }
    weigh_values(row, weighed, chunks);
  }

  // Scores of a chunk: [lane tile][32 keys][16 lanes], two chunks in turn.
  float* chunk_scores(std::size_t chunk) { return s_ + chunk % 2 * kChunk * kCols; }

  // 2 key tiles x 2 lane tiles of K * Q^T.
  void scores(std::size_t row, std::size_t chunk, const KeyBlock& k) {
    before_tile_loads();
    const char* rows = static_cast<const char*>(k.rows) + chunk * kChunk * k.row_bytes;
    const float* q = q_ + row * d_ / 2;
    const std::size_t next_keys = 16 * k.row_bytes, next_lanes = 8 * d_;
    zero_sums();
    for (std::size_t c = 0; c < d_; c += 32) {
      _tile_loadd(4, rows + 2 * c, k.row_bytes);
      _tile_loadd(6, q + 8 * c, 64);
      _tile_dpbf16ps(0, 4, 6);
      _tile_loadd(7, q + next_lanes + 8 * c, 64);
      _tile_dpbf16ps(1, 4, 7);
      _tile_loadd(5, rows + next_keys + 2 * c, k.row_bytes);
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
    }
    float* s = chunk_scores(chunk);
    _tile_stored(0, s, 64);
    _tile_stored(1, s + kLaneScores, 64);
    _tile_stored(2, s + 256, 64);
    _tile_stored(3, s + kLaneScores + 256, 64);
  }

  // Keys after a lane's own position get no weight.
  void mask_after(std::size_t row, std::size_t key, std::size_t chunk) {
    const __m512 none = _mm512_set1_ps(-std::numeric_limits<float>::infinity());
    for (std::size_t lane = 0; lane < kCols; lane += 16) {
      float* s = chunk_scores(chunk) + lane / 16 * kLaneScores;
      const __m512 limit = _mm512_load_ps(limit_ + row + lane);
      for (std::size_t i = 0; i < kChunk; ++i) {
        const __m512 position = _mm512_set1_ps(static_cast<float>(key + kChunk * chunk + i));
        const __mmask16 ok = _mm512_cmp_ps_mask(position, limit, _CMP_LE_OQ);
        _mm512_store_ps(s + 16 * i, _mm512_mask_mov_ps(none, ok, _mm512_load_ps(s + 16 * i)));
      }
    }
  }

  // Nor do keys before its window.
  void mask_before(std::size_t row, std::size_t key, std::size_t chunk) {
    const __m512 none = _mm512_set1_ps(-std::numeric_limits<float>::infinity());
    for (std::size_t lane = 0; lane < kCols; lane += 16) {
      float* s = chunk_scores(chunk) + lane / 16 * kLaneScores;
      const __m512 limit = _mm512_load_ps(limit_ + row + lane);
      for (std::size_t i = 0; i < kChunk; ++i) {
        const std::size_t position = key + kChunk * chunk + i;
        const __m512 end = _mm512_set1_ps(static_cast<float>(position + a_.window));
        const __mmask16 out = _mm512_cmp_ps_mask(end, limit, _CMP_LE_OQ);
        _mm512_store_ps(s + 16 * i, _mm512_mask_mov_ps(_mm512_load_ps(s + 16 * i), out, none));
      }
    }
  }

  struct Maxima {
    __m512 lanes[2];
  };
  Maxima chunk_maxima(std::size_t chunk) {
    Maxima max;
    for (std::size_t l = 0; l < 2; ++l) {
      const float* s = chunk_scores(chunk) + l * kLaneScores;
      __m512 a = _mm512_load_ps(s), b = _mm512_load_ps(s + 16);
      RA_UNROLL(16)
      for (std::size_t i = 2; i < kChunk; i += 2) {
        a = _mm512_max_ps(a, _mm512_load_ps(s + 16 * i));
        b = _mm512_max_ps(b, _mm512_load_ps(s + 16 * i + 16));
      }
      max.lanes[l] = _mm512_max_ps(a, b);
    }
    return max;
  }

  bool exceeds_reference(std::size_t row, const Maxima& max) const {
    __mmask16 over = 0;
    for (std::size_t l = 0; l < 2; ++l) {
      const __m512 most =
          _mm512_add_ps(_mm512_load_ps(max_ + row + 16 * l), _mm512_set1_ps(kSlack));
      over = static_cast<__mmask16>(over | _mm512_cmp_ps_mask(max.lanes[l], most, _CMP_GT_OQ));
    }
    return over != 0;
  }

  void raise_reference(std::size_t row, const Maxima& max) {
    for (std::size_t l = 0; l < 2; ++l) {
      const std::size_t lanes = row + 16 * l;
      const __m512 before = _mm512_load_ps(max_ + lanes);
      const __m512 to = _mm512_max_ps(max.lanes[l], before);
      const __m512 fall = _mm512_mul_ps(_mm512_sub_ps(before, to), _mm512_set1_ps(kLn2));
      const __m512 keep = exp_lanes<Simd>(fall);
      _mm512_store_ps(max_ + lanes, to);
      _mm512_store_ps(sum_ + lanes, _mm512_mul_ps(_mm512_load_ps(sum_ + lanes), keep));
      float* out = out_ + lanes * dv_;
      for (std::size_t j = 0; j < dv_; ++j)
        _mm512_store_ps(out + 16 * j, _mm512_mul_ps(_mm512_load_ps(out + 16 * j), keep));
    }
  }

  // Weights of a chunk as B tiles: [lane tile][chunk][16 pairs of keys][16 lanes].
  float* chunk_weights(std::size_t lane_tile, std::size_t chunk) {
    return p_ + lane_tile * kLaneWeights + chunk * 256;
  }

  void softmax(std::size_t row, std::size_t chunk) {
    for (std::size_t l = 0; l < 2; ++l) {
      const float* s = chunk_scores(chunk) + l * kLaneScores;
      float* p = chunk_weights(l, chunk);
      const __m512 reference = _mm512_load_ps(max_ + row + 16 * l);
      __m512 sum0 = _mm512_load_ps(sum_ + row + 16 * l), sum1 = _mm512_setzero_ps();
      RA_UNROLL(4)
      for (std::size_t i = 0; i < kChunk; i += 2) {
        const __m512 even = exp2_bf16(_mm512_sub_ps(_mm512_load_ps(s + 16 * i), reference));
        const __m512 odd = exp2_bf16(_mm512_sub_ps(_mm512_load_ps(s + 16 * i + 16), reference));
        sum0 = _mm512_add_ps(sum0, even);
        sum1 = _mm512_add_ps(sum1, odd);
        _mm512_store_si512(p + 8 * i, pair_bf16(even, odd));
      }
      _mm512_store_ps(sum_ + row + 16 * l, _mm512_add_ps(sum0, sum1));
    }
  }

  // out [value_dim, 32] += V^T * P^T over chunks first..end: 2 value tiles x 2 lane tiles at a
  // time.
  void weigh_values(std::size_t row, std::size_t first, std::size_t end) {
    before_tile_loads();
    float* out = out_ + row * dv_;
    std::size_t c = 0;
    for (; c + 32 <= dv_; c += 32) {
      float* o = out + 16 * c;
      const std::size_t next_lanes = 16 * dv_;
      const float* v = v_ + c / 16 * kValueTiles;
      _tile_loadd(0, o, 64);
      _tile_loadd(1, o + next_lanes, 64);
      _tile_loadd(2, o + 256, 64);
      _tile_loadd(3, o + next_lanes + 256, 64);
      for (std::size_t i = first; i < end; ++i) {
        _tile_loadd(4, v + 256 * i, 64);
        _tile_loadd(6, chunk_weights(0, i), 64);
        _tile_dpbf16ps(0, 4, 6);
        _tile_loadd(7, chunk_weights(1, i), 64);
        _tile_dpbf16ps(1, 4, 7);
        _tile_loadd(5, v + kValueTiles + 256 * i, 64);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
      }
      _tile_stored(0, o, 64);
      _tile_stored(1, o + next_lanes, 64);
      _tile_stored(2, o + 256, 64);
      _tile_stored(3, o + next_lanes + 256, 64);
    }
    if (c < dv_) weigh_last_values(row, first, end);
  }

  // The last 16 value dimensions of an odd number of tiles.
  void weigh_last_values(std::size_t row, std::size_t first, std::size_t end) {
    float* o = out_ + row * dv_ + 16 * (dv_ - 16);
    const float* v = v_ + (dv_ / 16 - 1) * kValueTiles;
    _tile_loadd(0, o, 64);
    _tile_loadd(1, o + 16 * dv_, 64);
    for (std::size_t i = first; i < end; ++i) {
      _tile_loadd(4, v + 256 * i, 64);
      _tile_loadd(6, chunk_weights(0, i), 64);
      _tile_dpbf16ps(0, 4, 6);
      _tile_loadd(7, chunk_weights(1, i), 64);
      _tile_dpbf16ps(1, 4, 7);
    }
    _tile_stored(0, o, 64);
    _tile_stored(1, o + 16 * dv_, 64);
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
  float *q_, *out_, *max_, *sum_, *limit_, *k_, *v_, *s_, *p_;
};

template <class T>
void run_tiles(const CausalArgs& a) {
  const AmxScope amx;
  const std::size_t tile = attend_tiles::token_tile(a.tokens, a.group);
  for (std::size_t t = 0; t < a.tokens; t += tile)
    CausalTile<T>(a, t, smaller(tile, a.tokens - t)).run();
}

}  // namespace

template <>
void attend_causal<Level::kAmx>(const CausalArgs& a) noexcept {
  if (a.exact_f32) {
    attend_causal<Level::kAvx512>(a);
  } else if (a.kv.type == KvType::kF32) {
    run_tiles<float>(a);
  } else {
    run_tiles<bf16>(a);
  }
}

}  // namespace ra::kernels
