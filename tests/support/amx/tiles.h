// SPDX-License-Identifier: Apache-2.0
// Tiles in memory in place of AMX's, for tests on a CPU without: included in front of the sources
// of level amx, whose intrinsics it replaces. The arithmetic is that of the Intel manual ("Intel
// Architecture Instruction Set Extensions", TDPBF16PS and TDPBSUD): sums of even and of odd
// elements of bf16 pairs apart, then added to the tile. What it cannot show: an access that the
// compiler moves past a tile load, subnormal numbers, which the tile unit takes for zero, speed.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

namespace ra::amx_emulation {

inline constexpr int kTiles = 8, kRows = 16, kRowBytes = 64;

struct Tile {
  alignas(64) unsigned char row[kRows][kRowBytes];
  int rows, row_bytes;
};
inline thread_local Tile tiles[kTiles];

inline void load_config(const void* config) {
  const auto* c = static_cast<const unsigned char*>(config);
  for (int i = 0; i < kTiles; ++i) {
    std::uint16_t row_bytes = 0;
    std::memcpy(&row_bytes, c + 16 + 2 * i, sizeof row_bytes);
    tiles[i] = {.row = {}, .rows = c[48 + i], .row_bytes = row_bytes};
  }
}

inline void zero(int tile) { std::memset(tiles[tile].row, 0, sizeof tiles[tile].row); }

inline void load(int tile, const void* from, std::size_t stride) {
  asm volatile("" : : : "memory");
  zero(tile);
  Tile& t = tiles[tile];
  for (int r = 0; r < t.rows; ++r)
    std::memcpy(t.row[r], static_cast<const char*>(from) + static_cast<std::size_t>(r) * stride,
                static_cast<std::size_t>(t.row_bytes));
}

inline void store(int tile, void* to, std::size_t stride) {
  const Tile& t = tiles[tile];
  for (int r = 0; r < t.rows; ++r)
    std::memcpy(static_cast<char*>(to) + static_cast<std::size_t>(r) * stride, t.row[r],
                static_cast<std::size_t>(t.row_bytes));
}

inline float widened(std::uint16_t bf16) {
  const std::uint32_t bits = static_cast<std::uint32_t>(bf16) << 16;
  float x = 0;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

template <class T>
T element(const Tile& t, int row, int i) {
  T v;
  std::memcpy(&v, t.row[row] + static_cast<std::size_t>(i) * sizeof v, sizeof v);
  return v;
}
template <class T>
void put(Tile& t, int row, int i, T v) {
  std::memcpy(t.row[row] + static_cast<std::size_t>(i) * sizeof v, &v, sizeof v);
}

inline void multiply_bf16(int c, int a, int b) {
  const Tile &x = tiles[a], &y = tiles[b];
  for (int m = 0; m < tiles[c].rows; ++m)
    for (int n = 0; n < tiles[c].row_bytes / 4; ++n) {
      float even = 0, odd = 0;
      for (int k = 0; k < x.row_bytes / 4; ++k) {
        const auto factor = [&](int half) {
          return std::pair(widened(element<std::uint16_t>(x, m, 2 * k + half)),
                           widened(element<std::uint16_t>(y, k, 2 * n + half)));
        };
        even = __builtin_fmaf(factor(0).first, factor(0).second, even);
        odd = __builtin_fmaf(factor(1).first, factor(1).second, odd);
      }
      put(tiles[c], m, n, element<float>(tiles[c], m, n) + (even + odd));
    }
}

// Products of A's signed and B's unsigned bytes, four to a sum.
inline void multiply_signed_unsigned(int c, int a, int b) {
  for (int m = 0; m < tiles[c].rows; ++m)
    for (int n = 0; n < tiles[c].row_bytes / 4; ++n) {
      int sum = element<int>(tiles[c], m, n);
      for (int k = 0; k < tiles[a].row_bytes; ++k)
        sum += int{element<std::int8_t>(tiles[a], m, k)} *
               int{element<std::uint8_t>(tiles[b], k / 4, 4 * n + k % 4)};
      put(tiles[c], m, n, sum);
    }
}

}  // namespace ra::amx_emulation

#undef _tile_loadd
#undef _tile_stored
#undef _tile_zero
#undef _tile_dpbf16ps
#undef _tile_dpbsud
#define _tile_loadconfig(config) ra::amx_emulation::load_config(config)
#define _tile_release() static_cast<void>(0)
#define _tile_loadd(tile, from, stride) ra::amx_emulation::load(tile, from, stride)
#define _tile_stored(tile, to, stride) ra::amx_emulation::store(tile, to, stride)
#define _tile_zero(tile) ra::amx_emulation::zero(tile)
#define _tile_dpbf16ps(c, a, b) ra::amx_emulation::multiply_bf16(c, a, b)
#define _tile_dpbsud(c, a, b) ra::amx_emulation::multiply_signed_unsigned(c, a, b)
