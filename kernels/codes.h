// SPDX-License-Identifier: Apache-2.0
// Inner products of query codes with the 8-bit or 4-bit codes of many keys, in integers: exact, and
// so the same at every level.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/level.h"

namespace ra::kernels {

// Keys lie in blocks of kCodeKeys, coordinates in steps of 64 bytes: step s of a block holds byte
// 4 key + c for each of its keys. With 8 bits that byte is coordinate 4 s + c plus 128; with 4 bits
// its low half is coordinate 8 s + c plus 8, its high half coordinate 8 s + 4 + c plus 8.
inline constexpr std::size_t kCodeKeys = 16;
inline constexpr std::size_t kCodeStepBytes = 64;
inline constexpr std::size_t kMostCodeRank = 1024;  // sums stay below 2^24, exact as floats

// `rank` is a multiple of 32 / bits.
constexpr std::size_t code_block_bytes(std::size_t rank, int bits) {
  return rank * kCodeKeys * static_cast<std::size_t>(bits) / 8;
}

// What becomes of sums before they are written. Rows are counted from CodeArgs::first on.
struct ScoreRule {
  // base[g] + unit[g] * sum + gain[g] * spread[i], none of it fused; -infinity from row `rows` on.
  const float *base = nullptr, *unit = nullptr;    // [group]; or null, both: 0 and 1
  const float *gain = nullptr, *spread = nullptr;  // [group], [rows]; or null, both: 0
  std::size_t rows = 0;
  // best[g * parts + (slot + column) % parts] is raised to what is written to that column of `out`;
  // NaN raises nothing. parts: a power of 2, at least kCodeKeys; or 0. slot: a multiple of
  // kCodeKeys.
  float* best = nullptr;  // [group, parts]
  std::size_t parts = 0, slot = 0;
};

// out[g * out_stride + 16 j + key] = sum over i of q[g][i] * coordinate i of that key of block
// first + (blocks ? blocks[j] : j), for g < group, j < n. rank <= kMostCodeRank.
struct CodeArgs {
  const std::int8_t* q = nullptr;  // [group, rank] of -127 .. 127, rows q_stride apart
  std::size_t q_stride = 0, group = 0, rank = 0;
  const std::uint8_t* codes = nullptr;
  int bits = 8;
  const std::uint32_t* blocks = nullptr;  // [n], or null
  std::size_t first = 0, n = 0;
  float* out = nullptr;  // [group, 16 n], rows out_stride apart
  std::size_t out_stride = 0;
  const ScoreRule* rule = nullptr;  // null: the sums themselves
  constexpr std::size_t block(std::size_t j) const {
    return first + (blocks != nullptr ? blocks[j] : j);
  }
};

inline constexpr std::size_t kMostFilterQueries = 16;

// Rows 16 block + key that score at least floors[g] with any query g, block by block in the order
// of `a.blocks`; out, unused in `a` as is its rule, is `rows` here: room for 16 n. Returns how many
// there are. a.group <= kMostFilterQueries.
template <Level L>
std::size_t codes_at_least(const CodeArgs& a, const float* floors, std::uint32_t* rows) noexcept;

template <>
std::size_t codes_at_least<Level::kScalar>(const CodeArgs& a, const float* floors,
                                           std::uint32_t* rows) noexcept;
template <>
std::size_t codes_at_least<Level::kAvx2>(const CodeArgs& a, const float* floors,
                                         std::uint32_t* rows) noexcept;
template <>
std::size_t codes_at_least<Level::kAvx512>(const CodeArgs& a, const float* floors,
                                           std::uint32_t* rows) noexcept;
template <>
std::size_t codes_at_least<Level::kAmx>(const CodeArgs& a, const float* floors,
                                        std::uint32_t* rows) noexcept;

template <Level L>
void score_codes(const CodeArgs& a) noexcept;

template <>
void score_codes<Level::kScalar>(const CodeArgs& a) noexcept;
template <>
void score_codes<Level::kAvx2>(const CodeArgs& a) noexcept;
template <>
void score_codes<Level::kAvx512>(const CodeArgs& a) noexcept;
template <>
void score_codes<Level::kAmx>(const CodeArgs& a) noexcept;

// Codes of a query y [n] for score_codes: out[i] = y[i] / unit rounded to nearest even, where the
// unit, which is returned, makes the largest 127. 0 and zeros for a query of zeros or one that is
// not finite. Every level gives the same result.
template <Level L>
float encode_query(const float* y, std::size_t n, std::int8_t* out) noexcept;

template <>
float encode_query<Level::kScalar>(const float* y, std::size_t n, std::int8_t* out) noexcept;
template <>
float encode_query<Level::kAvx2>(const float* y, std::size_t n, std::int8_t* out) noexcept;
template <>
float encode_query<Level::kAvx512>(const float* y, std::size_t n, std::int8_t* out) noexcept;

}  // namespace ra::kernels
