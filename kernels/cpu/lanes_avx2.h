// SPDX-License-Identifier: Apache-2.0
// Loads, stores and reductions of 8 f32 lanes. For sources built with -mavx2 -mfma -mf16c only; in
// an anonymous namespace, so that no copy built with these flags can reach the rest of the program.
#pragma once

#include <immintrin.h>

#include <cstddef>

#include "kernels/types.h"

namespace ra::kernels {
namespace {

[[maybe_unused]] inline __m256 load8(const float* p) { return _mm256_loadu_ps(p); }

[[maybe_unused]] inline __m256 load8(const bf16* p) {
  const __m128i h = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(h), 16));
}

[[maybe_unused]] inline float reduce_add(__m256 v) {
  __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  s = _mm_add_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

}  // namespace
}  // namespace ra::kernels
