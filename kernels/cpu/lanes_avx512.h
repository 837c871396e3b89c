// SPDX-License-Identifier: Apache-2.0
// Loads and masks of 16 f32 lanes. For sources built with the avx512 flags only; in an anonymous
// namespace, so that no copy built with these flags can reach the rest of the program.
#pragma once

#include <immintrin.h>

#include <cstddef>

#include "kernels/types.h"

namespace ra::kernels {
namespace {

[[maybe_unused]] inline __mmask16 first_lanes(std::size_t n) {  // lanes 0..min(n, 16)-1
  return static_cast<__mmask16>(n >= 16 ? 0xffffu : (1u << n) - 1u);
}

[[maybe_unused]] inline __m512 load16(const float* p) { return _mm512_loadu_ps(p); }

[[maybe_unused]] inline __m512 load16(const float* p, __mmask16 m) {
  return _mm512_maskz_loadu_ps(m, p);
}

[[maybe_unused]] inline __m512 widen(__m256i bf16s) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bf16s), 16));
}

[[maybe_unused]] inline __m512 load16(const bf16* p) {
  return widen(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}

[[maybe_unused]] inline __m512 load16(const bf16* p, __mmask16 m) {
  return widen(_mm256_maskz_loadu_epi16(m, p));
}

}  // namespace
}  // namespace ra::kernels
