// SPDX-License-Identifier: Apache-2.0
// 16 bf16 keys are the rows of one operand of TDPBF16PS; the other holds up to eight queries, each
// f32 query as the sum of three bf16 numbers, so that a score keeps the precision of f32: columns
// 0..7 of a tile take the first numbers, 8..15 the second, and another tile the third.
#include <immintrin.h>

#include <algorithm>
#include <cstring>

#include "kernels/cpu/amx_tiles.h"
#include "kernels/cpu/score_rows.h"
#include "kernels/cpu/unroll.h"
#include "kernels/score.h"

namespace ra::kernels {
namespace {

constexpr std::size_t kRows = 16;    // keys of a tile
constexpr std::size_t kQueries = 8;  // at a time
constexpr std::size_t kPairs = 32;   // dimensions of a tile, two by two
constexpr std::size_t kMostDim = 512;
constexpr std::size_t kRoundsAhead = 2;  // that gathered rows are fetched before they are copied

// Two tiles for each 32 dimensions: [16, 16 columns] of two bf16.
struct QueryTiles {
  alignas(64) std::uint32_t part[kMostDim / kPairs][2][kPairs / 2 * kRows];

  QueryTiles(const ScoreArgs& a, std::size_t g, std::size_t count) {
    const std::size_t chunks = (a.dim + kPairs - 1) / kPairs;
    std::memset(part, 0, chunks * sizeof(part[0]));
    for (std::size_t c = 0; c < chunks; ++c)
      for (std::size_t r = 0; r < count; ++r) {
        const float* q = a.q + (g + r) * a.q_stride + c * kPairs;
        const std::size_t n = a.dim - c * kPairs;
        __m512 low = load_masked(q, n), high = load_masked(q + 16, n > 16 ? n - 16 : 0);
        put(take(low, high), part[c][0] + r);
        put(take(low, high), part[c][0] + kQueries + r);
        put(take(low, high), part[c][1] + r);
      }
  }

 private:
  // The bf16 nearest to 32 numbers, which keep what is left.
  static __m512i take(__m512& low, __m512& high) {
    const auto rounded = _mm512_castps_si512(pack_bf16(low, high));
    low = _mm512_sub_ps(low, widen(_mm512_castsi512_si256(rounded)));
    high = _mm512_sub_ps(high, widen(_mm512_extracti64x4_epi64(rounded, 1)));
    return rounded;
  }
  // 16 pairs down a column.
  static void put(__m512i pairs, std::uint32_t* column) {
    alignas(64) std::uint32_t each[kPairs / 2];
    _mm512_store_si512(each, pairs);
    for (std::size_t p = 0; p < kPairs / 2; ++p) column[p * kRows] = each[p];
  }
};

// Two sums [16 keys, 16 columns] to out[query][key], columns c and c + 8 of the first and c of the
// second added; `keys` of them valid.
RA_ALWAYS_INLINE void write_scores(const float (&sums)[2][kRows * kRows], std::size_t count,
                                   __mmask16 keys, float* out, std::size_t out_stride) {
  const auto scores_of = [&](int key) __attribute__((always_inline)) {
    const float* first = sums[0] + key * 16;
    return _mm256_add_ps(_mm256_load_ps(first), _mm256_add_ps(_mm256_load_ps(first + 8),
                                                              _mm256_load_ps(sums[1] + key * 16)));
  };
  __m512 row[8];  // of key i in the lower half, of key i + 8 in the upper
  RA_UNROLL(8)
  for (int i = 0; i < 8; ++i) {
    row[i] = _mm512_insertf32x8(_mm512_castps256_ps512(scores_of(i)), scores_of(i + 8), 1);
  }
  // An 8 x 8 transposition in each half: by pairs of elements, of pairs, then of quadruples.
  __m512 pair[8];
  RA_UNROLL(4)
  for (int i = 0; i < 4; ++i) {
    pair[2 * i] = _mm512_unpacklo_ps(row[2 * i], row[2 * i + 1]);
    pair[2 * i + 1] = _mm512_unpackhi_ps(row[2 * i], row[2 * i + 1]);
  }
  __m512d four[8];  // queries c and c + 4 of keys 0..3 (first four) and 4..7
  RA_UNROLL(2)
  for (int i = 0; i < 2; ++i) {
    const __m512d a = _mm512_castps_pd(pair[4 * i]), b = _mm512_castps_pd(pair[4 * i + 2]);
    const __m512d c = _mm512_castps_pd(pair[4 * i + 1]), d = _mm512_castps_pd(pair[4 * i + 3]);
    four[4 * i] = _mm512_unpacklo_pd(a, b);
    four[4 * i + 1] = _mm512_unpackhi_pd(a, b);
    four[4 * i + 2] = _mm512_unpacklo_pd(c, d);
    four[4 * i + 3] = _mm512_unpackhi_pd(c, d);
  }
  const __m512i even = _mm512_setr_epi64(0, 1, 8, 9, 4, 5, 12, 13);
  const __m512i odd = _mm512_setr_epi64(2, 3, 10, 11, 6, 7, 14, 15);
  RA_UNROLL(4)
  for (std::size_t c = 0; c < 4; ++c) {
    if (c < count)
      _mm512_mask_storeu_ps(out + c * out_stride, keys,
                            _mm512_castpd_ps(_mm512_permutex2var_pd(four[c], even, four[4 + c])));
    if (c + 4 < count)
      _mm512_mask_storeu_ps(out + (c + 4) * out_stride, keys,
                            _mm512_castpd_ps(_mm512_permutex2var_pd(four[c], odd, four[4 + c])));
  }
}

// Queries g .. g + count - 1 with all keys. As in codes_amx.cc, rows are copied and sums read a
// round of 16 keys away from the products.
void score_group(const ScoreArgs& a, std::size_t g, std::size_t count) {
  const std::size_t chunks = (a.dim + kPairs - 1) / kPairs, wide = chunks * kPairs,
                    rounds = (a.n + kRows - 1) / kRows;
  const QueryTiles queries(a, g, count);
  alignas(64) bf16 rows[2][kRows * kMostDim];
  alignas(64) float sums[2][2][kRows * kRows];  // by the two tiles of the queries
  const auto in_place = [&](std::size_t round) {
    return a.ids == nullptr && a.dim == wide && (round + 1) * kRows <= a.n;
  };
  const auto prepare = [&](std::size_t round) __attribute__((always_inline)) {
    if (round >= rounds || in_place(round)) return;
    for (std::size_t j = 0; j < kRows; ++j) {
      const bf16* from = key_row<bf16>(a, std::min(round * kRows + j, a.n - 1));
      bf16* to = rows[round % 2] + j * wide;
      for (std::size_t i = 0; i < wide; i += kPairs)
        _mm512_store_ps(to + i, load_bf16(from + i, std::min(kPairs, a.dim - i)));
    }
  };
  const auto fetch = [&](std::size_t round) __attribute__((always_inline)) {
    if (a.ids == nullptr) return;
    for (std::size_t j = 0; j < kRows; j += kKeys) prefetch_keys<bf16>(a, round * kRows + j);
  };
  const auto write = [&](std::size_t round) __attribute__((always_inline)) {
    const std::size_t left = a.n - round * kRows;
    write_scores(sums[round % 2], count, first_lanes(left),
                 a.out + g * a.out_stride + round * kRows, a.out_stride);
  };
  const AmxScope tiles;
  for (std::size_t round = 0; round < kRoundsAhead; ++round) fetch(round);
  prepare(0);
  const bool keep = chunks <= 2;  // the queries' tiles stay loaded
  const auto load_queries = [&](std::size_t c) __attribute__((always_inline)) {
    if (c % 2 == 0) {
      _tile_loadd(4, queries.part[c][0], 64);
      _tile_loadd(5, queries.part[c][1], 64);
    } else {
      _tile_loadd(6, queries.part[c][0], 64);
      _tile_loadd(7, queries.part[c][1], 64);
    }
  };
  for (std::size_t c = 0; keep && c < chunks; ++c) load_queries(c);
  for (std::size_t round = 0; round < rounds; ++round) {
    fetch(round + kRoundsAhead);
    prepare(round + 1);
    const bool direct = in_place(round);
    const bf16* from = direct ? key_row<bf16>(a, round * kRows) : rows[round % 2];
    const std::size_t row_bytes = (direct ? a.key_stride : wide) * sizeof(bf16);
    before_tile_loads();
    _tile_zero(0);
    _tile_zero(1);
    for (std::size_t c = 0; c < chunks; ++c) {
      if (!keep) load_queries(c);
      if (c % 2 == 0) {
        _tile_loadd(2, from + c * kPairs, row_bytes);
        _tile_dpbf16ps(0, 2, 4);
        _tile_dpbf16ps(1, 2, 5);
      } else {
        _tile_loadd(3, from + c * kPairs, row_bytes);
        _tile_dpbf16ps(0, 3, 6);
        _tile_dpbf16ps(1, 3, 7);
      }
    }
    _tile_stored(0, sums[round % 2][0], 64);
    _tile_stored(1, sums[round % 2][1], 64);
    before_tile_loads();  // and after stores, of which the same is true
    if (round > 0) write(round - 1);
  }
  if (rounds > 0) write(rounds - 1);
}

}  // namespace

template <>
void score<Level::kAmx>(const ScoreArgs& a) noexcept {
  constexpr std::size_t kWorthIt = 3;  // queries for which a tile is faster than lanes
  if (a.type != KvType::kBf16 || a.group < kWorthIt || a.dim == 0 || a.dim > kMostDim)
    return score<Level::kAvx512>(a);
  for (std::size_t g = 0; g < a.group; g += kQueries)
    score_group(a, g, std::min(kQueries, a.group - g));
}

}  // namespace ra::kernels
