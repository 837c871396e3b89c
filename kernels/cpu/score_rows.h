// SPDX-License-Identifier: Apache-2.0
// Walks the keys of a ScoreArgs four at a time. In an anonymous namespace: sources of several
// levels include it.
#pragma once

#include <immintrin.h>

#include "kernels/score.h"
#include "kernels/types.h"

namespace ra::kernels {
namespace {

constexpr std::size_t kKeys = 4;
// Gathered rows fetched before their use: a row takes about 100 ns to arrive and 10 to score.
constexpr std::size_t kKeysAhead = 16;

template <class T>
RA_ALWAYS_INLINE const T* key_row(const ScoreArgs& a, std::size_t j) {
  const std::size_t row = a.ids != nullptr ? a.ids[j] : a.first + j;
  return static_cast<const T*>(a.keys) + row * a.key_stride;
}

template <class T>
RA_ALWAYS_INLINE void prefetch_keys(const ScoreArgs& a, std::size_t first) {
  for (std::size_t j = first; j < first + kKeys && j < a.n; ++j) {
    const char* row = reinterpret_cast<const char*>(key_row<T>(a, j));
    for (std::size_t i = 0; i < a.dim * sizeof(T); i += 64) _mm_prefetch(row + i, _MM_HINT_T0);
  }
}

// score_four(keys, j, count): scores of `count` <= 4 keys from the j-th for the whole group; the
// pointers past `count` repeat the last key.
template <class T, class ScoreFour>
RA_ALWAYS_INLINE void for_each_four(const ScoreArgs& a, ScoreFour score_four) {
  if (a.ids != nullptr)
    for (std::size_t j = 0; j < kKeysAhead; j += kKeys) prefetch_keys<T>(a, j);
  for (std::size_t j = 0; j < a.n; j += kKeys) {
    const std::size_t count = a.n - j < kKeys ? a.n - j : kKeys;
    if (a.ids != nullptr) prefetch_keys<T>(a, j + kKeysAhead);
    const T* keys[kKeys];
    for (std::size_t k = 0; k < kKeys; ++k)
      keys[k] = key_row<T>(a, j + (k < count ? k : count - 1));
    score_four(keys, j, count);
  }
}

}  // namespace
}  // namespace ra::kernels
