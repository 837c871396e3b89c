// SPDX-License-Identifier: Apache-2.0
// Writes sums of 16 keys as scores (kernels/codes.h, ScoreRule); for avx512 and amx.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <limits>

#include "kernels/codes.h"
#include "kernels/cpu/lanes_avx512.h"
#include "kernels/types.h"

namespace ra::kernels {
namespace {

// Of block j of `a`, what is the same for all queries.
class BlockScores {
 public:
  RA_ALWAYS_INLINE BlockScores(const CodeArgs& a, std::size_t j)
      : a_(a), out_(a.out + j * kCodeKeys) {
    if (a.rule == nullptr) return;
    const std::size_t row = (a.block(j) - a.first) * kCodeKeys;
    valid_ = first_lanes(a.rule->rows > row ? a.rule->rows - row : 0);
    if (a.rule->spread != nullptr) spread_ = load16(a.rule->spread + row, valid_);
    if (a.rule->parts > 0)
      best_ = a.rule->best + ((a.rule->slot + j * kCodeKeys) & (a.rule->parts - 1));
  }

  RA_ALWAYS_INLINE void put(std::size_t g, __m512 sums) const {
    _mm512_storeu_ps(out_ + g * a_.out_stride, a_.rule == nullptr ? sums : score(g, sums));
  }

 private:
  RA_ALWAYS_INLINE __m512 score(std::size_t g, __m512 x) const {
    const ScoreRule& rule = *a_.rule;
    if (rule.base != nullptr)
      x = _mm512_add_ps(_mm512_set1_ps(rule.base[g]),
                        _mm512_mul_ps(_mm512_set1_ps(rule.unit[g]), x));
    if (rule.spread != nullptr)
      x = _mm512_add_ps(x, _mm512_mul_ps(_mm512_set1_ps(rule.gain[g]), spread_));
    x = _mm512_mask_mov_ps(_mm512_set1_ps(-std::numeric_limits<float>::infinity()), valid_, x);
    if (best_ != nullptr) {
      // The second operand if one is NaN.
      float* best = best_ + g * rule.parts;
      _mm512_storeu_ps(best, _mm512_max_ps(x, _mm512_loadu_ps(best)));
    }
    return x;
  }

  const CodeArgs& a_;
  float *out_, *best_ = nullptr;
  __mmask16 valid_ = 0;
  __m512 spread_ = _mm512_setzero_ps();
};

}  // namespace
}  // namespace ra::kernels
