// SPDX-License-Identifier: Apache-2.0
// Parts of score_codes for levels that multiply four bytes of a query at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/codes.h"

namespace ra::kernels {
namespace {

// Four bytes of each of G <= Room queries, from query g on, side by side, four coordinates after
// four.
template <int G, int Room>
struct Quads {
  std::int32_t of[kMostCodeRank / 4][Room];
  Quads(const CodeArgs& a, std::size_t g) {
    for (std::size_t r = 0; r < G; ++r)
      for (std::size_t i = 0; i < a.rank; i += 4)
        std::memcpy(&of[i / 4][r], a.q + (g + r) * a.q_stride + i, 4);
  }
};

// What `offset`, which codes have added to each coordinate, adds to the sums of those queries.
template <int G>
struct Bases {
  int base[G];
  Bases(const CodeArgs& a, std::size_t g, int offset) {
    for (std::size_t r = 0; r < G; ++r) {
      base[r] = 0;
      for (std::size_t i = 0; i < a.rank; ++i) base[r] += offset * a.q[(g + r) * a.q_stride + i];
    }
  }
};

// Calls f.operator()<G>() for the G, 1 .. Most, that `count` is; nothing for 0.
template <int Most, class F>
void with_count(std::size_t count, const F& f) {
  if constexpr (Most > 0)
    count == Most ? f.template operator()<Most>() : with_count<Most - 1>(count, f);
}

}  // namespace
}  // namespace ra::kernels
