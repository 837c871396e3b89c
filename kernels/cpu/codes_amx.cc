// SPDX-License-Identifier: Apache-2.0
// A block of codes is an operand of TDPBSUD as it lies: step s of 64 bytes, four coordinates of 16
// keys, is row s of the tile. The other operand holds a row for each query, so that a product of
// 16 keys with a whole group takes as many cycles as there are queries. 4-bit codes are widened
// into a tile first.
#include <immintrin.h>

#include <algorithm>
#include <cstring>

#include "kernels/codes.h"
#include "kernels/cpu/amx_tiles.h"
#include "kernels/cpu/filter_codes.h"
#include "kernels/cpu/lanes_avx512.h"
#include "kernels/cpu/score_rule.h"
#include "kernels/cpu/simd_avx512.h"
#include "kernels/cpu/unroll.h"

namespace ra::kernels {
namespace {

constexpr std::size_t kQueries = 16;      // of a tile
constexpr std::size_t kCoordinates = 64;  // of a tile
constexpr std::size_t kBlocks = 4;        // at a time: products that do not wait
constexpr std::size_t kAhead = 3;         // rounds that blocks are fetched before their use

// Coordinates i .. i + 63 of a block as a tile; past the rank anything that the zeros of the
// queries may multiply.
template <int Bits>
RA_ALWAYS_INLINE void unpack(const std::uint8_t* block, std::size_t i, std::size_t rank,
                             std::uint8_t* tile) {
  constexpr std::size_t kStep = 32 / Bits;
  const std::size_t steps = std::min(kCoordinates, rank - i) / kStep;
  const std::uint8_t* from = block + i / kStep * kCodeStepBytes;
  const __m512i low = _mm512_set1_epi8(15);
  for (std::size_t s = 0; s < steps; ++s) {
    const __m512i v = _mm512_loadu_si512(from + s * kCodeStepBytes);
    if constexpr (Bits == 8) {
      _mm512_store_si512(tile + s * kCodeStepBytes, v);
    } else {
      _mm512_store_si512(tile + 2 * s * kCodeStepBytes, _mm512_and_si512(v, low));
      _mm512_store_si512(tile + (2 * s + 1) * kCodeStepBytes,
                         _mm512_and_si512(_mm512_srli_epi16(v, 4), low));
    }
  }
}

// Sums of up to kBlocks blocks, [kBlocks, kQueries, kCodeKeys], and what the offset of the codes
// adds to those of each query.
struct Sums {
  const std::int32_t *of, *base;
  RA_ALWAYS_INLINE __m512i row(std::size_t block, std::size_t query) const {
    return _mm512_load_si512(of + (block * kQueries + query) * kCodeKeys);
  }
};

// Queries g .. g + count - 1 with every block; take(j, n, sums) is called with blocks j .. j + n -
// 1 in order. Tile loads wait for the stores before them to leave the core, so codes are widened,
// and sums taken, a round away from the products.
template <int Bits, class Take>
void score_tile(const CodeArgs& a, std::size_t g, std::size_t count, const Take& take) {
  const std::size_t chunks = (a.rank + kCoordinates - 1) / kCoordinates;
  const std::size_t bytes = code_block_bytes(a.rank, Bits);
  alignas(64) std::int8_t queries[kMostCodeRank / kCoordinates * kTileBytes];
  alignas(64) std::uint8_t wide[2][kBlocks * kTileBytes];
  alignas(64) std::int32_t sums[2][kBlocks * kQueries * kCodeKeys];
  std::int32_t base[kQueries];  // what the offset of the codes adds
  std::memset(queries, 0, chunks * kTileBytes);
  for (std::size_t r = 0; r < count; ++r) {
    const std::int8_t* q = a.q + (g + r) * a.q_stride;
    base[r] = 0;
    for (std::size_t i = 0; i < a.rank; ++i) base[r] += (Bits == 8 ? 128 : 8) * q[i];
    for (std::size_t c = 0; c < chunks; ++c)
      std::memcpy(queries + c * kTileBytes + r * kCoordinates, q + c * kCoordinates,
                  std::min(kCoordinates, a.rank - c * kCoordinates));
  }
  const AmxScope tiles(5, static_cast<std::uint8_t>(count));  // sums and queries
  const bool in_place = Bits == 8 && a.rank % kCoordinates == 0;
  if (a.rank < kCoordinates) std::memset(wide, 0, sizeof(wide));
  // A round is a chunk of kBlocks blocks; the last blocks are taken twice where some are missing.
  const std::size_t rounds = (a.n + kBlocks - 1) / kBlocks * chunks;
  const auto blocks_of = [&](std::size_t round, std::size_t b) {
    return a.codes + a.block(std::min(round / chunks * kBlocks + b, a.n - 1)) * bytes;
  };
  const auto prepare = [&](std::size_t round) __attribute__((always_inline)) {
    if (in_place || round >= rounds) return;
    RA_UNROLL(4)
    for (std::size_t b = 0; b < kBlocks; ++b)
      unpack<Bits>(blocks_of(round, b), round % chunks * kCoordinates, a.rank,
                   wide[round % 2] + b * kTileBytes);
  };
  const auto give = [&](std::size_t four) __attribute__((always_inline)) {
    const std::size_t j = four * kBlocks;
    take(j, std::min(kBlocks, a.n - j), Sums{sums[four % 2], base});
  };
  _tile_loadd(4, queries, 64);
  prepare(0);
  for (std::size_t round = 0; round < rounds; ++round) {
    const std::size_t c = round % chunks, four = round / chunks;
    for (std::size_t b = 0; b < kBlocks; ++b)
      for (std::size_t i = 0; i < bytes / chunks; i += kCodeStepBytes)
        _mm_prefetch(reinterpret_cast<const char*>(blocks_of(round + kAhead, b) + i), _MM_HINT_T0);
    prepare(round + 1);
    if (c == 0) zero_sums();
    if (chunks > 1) _tile_loadd(4, queries + c * kTileBytes, 64);
    const auto tile = [&](std::size_t b) {
      return in_place ? blocks_of(round, b) + c * kTileBytes : wide[round % 2] + b * kTileBytes;
    };
    before_tile_loads();
    _tile_loadd(5, tile(0), 64);
    _tile_dpbsud(0, 4, 5);
    _tile_loadd(6, tile(1), 64);
    _tile_dpbsud(1, 4, 6);
    _tile_loadd(5, tile(2), 64);
    _tile_dpbsud(2, 4, 5);
    _tile_loadd(6, tile(3), 64);
    _tile_dpbsud(3, 4, 6);
    if (c + 1 < chunks) continue;
    std::int32_t* to = sums[four % 2];
    _tile_stored(0, to, 64);
    _tile_stored(1, to + kQueries * kCodeKeys, 64);
    _tile_stored(2, to + 2 * kQueries * kCodeKeys, 64);
    _tile_stored(3, to + 3 * kQueries * kCodeKeys, 64);
    before_tile_loads();  // and after stores, of which the same is true
    if (four > 0) give(four - 1);
  }
  if (rounds > 0) give(rounds / chunks - 1);
}

template <int Bits>
void score_all(const CodeArgs& a) {
  for (std::size_t g = 0; g < a.group; g += kQueries) {
    const std::size_t count = std::min(kQueries, a.group - g);
    score_tile<Bits>(a, g, count, [&](std::size_t j, std::size_t n, const Sums& sums) {
      for (std::size_t b = 0; b < n; ++b) {
        const RuledScores<Simd> scores(a, (j + b) * kCodeKeys);
        for (std::size_t r = 0; r < count; ++r)
          scores.put(g + r, _mm512_cvtepi32_ps(
                                _mm512_sub_epi32(sums.row(b, r), _mm512_set1_epi32(sums.base[r]))));
      }
    });
  }
}

// Sums are compared as they are, with floors that hold the offset.
template <int Bits>
std::size_t filter(const CodeArgs& a, const float* floors, std::uint32_t* rows) {
  const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  std::int32_t least[kQueries];
  for (std::size_t r = 0; r < a.group; ++r) least[r] = whole_floor<Level::kAmx>(floors[r]);
  std::size_t count = 0;
  score_tile<Bits>(a, 0, a.group, [&](std::size_t j, std::size_t n, const Sums& sums) {
    unsigned hits[kBlocks] = {};
    for (std::size_t r = 0; r < a.group; ++r) {
      const __m512i floor = _mm512_set1_epi32(least[r] + sums.base[r]);
      RA_UNROLL(4)
      for (std::size_t b = 0; b < kBlocks; ++b)
        hits[b] |= _mm512_cmpge_epi32_mask(sums.row(b, r), floor);
    }
    for (std::size_t b = 0; b < n; ++b) {
      const __m512i at =
          _mm512_add_epi32(lanes, _mm512_set1_epi32(static_cast<int>(a.block(j + b) * kCodeKeys)));
      count += store_lanes(rows + count, static_cast<__mmask16>(hits[b]), at);
    }
  });
  return count;
}

// A tile of one or two queries is no faster than lanes (codes_avx512.cc), and one of up to eight
// not where codes of 4 bits must be widened into memory first.
bool lanes_are_faster(const CodeArgs& a) { return a.rank == 0 || a.group <= (a.bits == 8 ? 2 : 8); }

}  // namespace

template <>
void score_codes<Level::kAmx>(const CodeArgs& a) noexcept {
  if (lanes_are_faster(a)) return score_codes<Level::kAvx512>(a);
  a.bits == 8 ? score_all<8>(a) : score_all<4>(a);
}

template <>
std::size_t codes_at_least<Level::kAmx>(const CodeArgs& a, const float* floors,
                                        std::uint32_t* rows) noexcept {
  if (lanes_are_faster(a)) return codes_at_least<Level::kAvx512>(a, floors, rows);
  return a.bits == 8 ? filter<8>(a, floors, rows) : filter<4>(a, floors, rows);
}

}  // namespace ra::kernels
