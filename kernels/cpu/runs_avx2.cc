// SPDX-License-Identifier: Apache-2.0
#include <immintrin.h>

#include "kernels/runs.h"
#include "kernels/types.h"

namespace ra::kernels {
namespace {

// The first `count` of eight lanes, all of them above that.
RA_ALWAYS_INLINE __m256i first_lanes(std::size_t count) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count < 8 ? count : 8)),
                            _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

}  // namespace

template <>
void run_scores<Level::kAvx2>(const float* scores, const Run* runs, std::size_t n,
                              float* out) noexcept {
  for (std::size_t r = 0; r < n; ++r) {
    const Run& run = runs[r];
    const float* from = scores + run.at;
    const __m256 base = _mm256_set1_ps(run.base), unit = _mm256_set1_ps(run.unit);
    // Not fused, as at every level.
    const auto score = [&](__m256 v) { return _mm256_add_ps(base, _mm256_mul_ps(unit, v)); };
    std::size_t i = 0;
    for (; i + 8 <= run.rows; i += 8) _mm256_storeu_ps(out + i, score(_mm256_loadu_ps(from + i)));
    if (i < run.rows) {
      const __m256i valid = first_lanes(run.rows - i);
      _mm256_maskstore_ps(out + i, valid, score(_mm256_maskload_ps(from + i, valid)));
    }
    out += run.rows;
  }
}

template <>
std::size_t runs_at_least<Level::kAvx2>(const GroupRunArgs& a) noexcept {
  std::size_t count = 0, row = 0;
  for (std::size_t r = 0; r < a.n; ++r) {
    const float* floors = a.floors + r * a.group;
    for (std::size_t i = 0; i < a.runs[r].rows; i += 8) {
      const __m256i valid = first_lanes(a.runs[r].rows - i);
      const float* scores = a.scores + a.runs[r].at + i;
      __m256 good = _mm256_setzero_ps();
      for (std::size_t g = 0; g < a.group; ++g, scores += a.stride)
        good = _mm256_or_ps(good, _mm256_cmp_ps(_mm256_maskload_ps(scores, valid),
                                                _mm256_set1_ps(floors[g]), _CMP_GE_OQ));
      unsigned hits = static_cast<unsigned>(
          _mm256_movemask_ps(_mm256_and_ps(good, _mm256_castsi256_ps(valid))));
      for (; hits != 0; hits &= hits - 1)
        a.out[count++] =
            static_cast<std::uint32_t>(row + i) + static_cast<std::uint32_t>(__builtin_ctz(hits));
    }
    row += a.runs[r].rows;
  }
  return count;
}

}  // namespace ra::kernels
