// SPDX-License-Identifier: Apache-2.0
// Loads, stores and masks of 16 f32 lanes. For sources built with the avx512 flags or wider; in an
// anonymous namespace, so that no copy built with these flags can reach the rest of the program.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

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

// Lanes `keep` of v to the front of p; returns how many. By way of a register: straight to memory
// VPCOMPRESS takes over a hundred cycles on Zen 4.
[[maybe_unused]] inline std::size_t store_lanes(float* p, __mmask16 keep, __m512 v) {
  const auto count = static_cast<std::size_t>(__builtin_popcount(keep));
  _mm512_mask_storeu_ps(p, first_lanes(count), _mm512_maskz_compress_ps(keep, v));
  return count;
}
[[maybe_unused]] inline std::size_t store_lanes(std::uint32_t* p, __mmask16 keep, __m512i v) {
  return store_lanes(reinterpret_cast<float*>(p), keep, _mm512_castsi512_ps(v));
}

// Each 128-bit lane of the result: the sums of that lane of a, b, c and d.
[[maybe_unused]] inline __m512 sums_in_lanes(__m512 a, __m512 b, __m512 c, __m512 d) {
  const __m512d ab =
      _mm512_castps_pd(_mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b)));
  const __m512d cd =
      _mm512_castps_pd(_mm512_add_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d)));
  return _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(ab, cd)),
                       _mm512_castpd_ps(_mm512_unpackhi_pd(ab, cd)));
}

// The sums of a, b, c and d.
[[maybe_unused]] inline __m128 sums_of_four(__m512 a, __m512 b, __m512 c, __m512 d) {
  const __m512 lanes = sums_in_lanes(a, b, c, d);
  const __m256 s = _mm256_add_ps(_mm512_castps512_ps256(lanes), _mm512_extractf32x8_ps(lanes, 1));
  return _mm_add_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps(s, 1));
}

}  // namespace
}  // namespace ra::kernels
