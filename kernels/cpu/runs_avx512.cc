// SPDX-License-Identifier: Apache-2.0
#include <immintrin.h>

#include "kernels/cpu/lanes_avx512.h"
#include "kernels/runs.h"
#include "kernels/types.h"

namespace ra::kernels {
namespace {

// Rows i .. i + 15 of a run, those of the mask. Not fused, as at every level.
RA_ALWAYS_INLINE __m512 rows_of(const float* scores, const Run& run, std::size_t i,
                                __mmask16 valid) {
  return _mm512_add_ps(_mm512_set1_ps(run.base),
                       _mm512_mul_ps(_mm512_set1_ps(run.unit), load16(scores + run.at + i, valid)));
}

}  // namespace

template <>
void run_scores<Level::kAvx512>(const float* scores, const Run* runs, std::size_t n,
                                float* out) noexcept {
  for (std::size_t r = 0; r < n; ++r) {
    const Run& run = runs[r];
    for (std::size_t i = 0; i < run.rows; i += 16) {
      const __mmask16 valid = first_lanes(run.rows - i);
      _mm512_mask_storeu_ps(out + i, valid, rows_of(scores, run, i, valid));
    }
    out += run.rows;
  }
}

template <>
std::size_t runs_at_least<Level::kAvx512>(const GroupRunArgs& a) noexcept {
  const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  std::size_t count = 0, row = 0;
  for (std::size_t r = 0; r < a.n; ++r) {
    const float* floors = a.floors + r * a.group;
    for (std::size_t i = 0; i < a.runs[r].rows; i += 16) {
      const __mmask16 valid = first_lanes(a.runs[r].rows - i);
      const float* scores = a.scores + a.runs[r].at + i;
      unsigned hits = 0;
      for (std::size_t g = 0; g < a.group; ++g, scores += a.stride)
        hits |= _mm512_mask_cmp_ps_mask(valid, load16(scores, valid), _mm512_set1_ps(floors[g]),
                                        _CMP_GE_OQ);
      const __m512i at = _mm512_add_epi32(lanes, _mm512_set1_epi32(static_cast<int>(row + i)));
      count += store_lanes(a.out + count, static_cast<__mmask16>(hits), at);
    }
    row += a.runs[r].rows;
  }
  return count;
}

}  // namespace ra::kernels
