// SPDX-License-Identifier: Apache-2.0
// Writes sums of keys as scores (kernels/codes.h, ScoreRule), S::kLanes of a block at a time.
#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>

#include "kernels/codes.h"
#include "kernels/types.h"

namespace ra::kernels {
namespace {

// Of columns c .. c + S::kLanes - 1 of `a.out`, all of one block, what is the same for all queries.
template <class S>
class RuledScores {
 public:
  using V = typename S::V;

  RA_ALWAYS_INLINE RuledScores(const CodeArgs& a, std::size_t c) : a_(a), out_(a.out + c) {
    if (a.rule == nullptr) return;
    const std::size_t row = (a.block(c / kCodeKeys) - a.first) * kCodeKeys + c % kCodeKeys,
                      left = a.rule->rows - std::min(a.rule->rows, row);
    rows_ = S::first_lanes(left);
    if (a.rule->spread != nullptr) spread_ = S::load(a.rule->spread + row, rows_);
    if (a.rule->parts > 0) best_ = a.rule->best + ((a.rule->slot + c) & (a.rule->parts - 1));
  }

  RA_ALWAYS_INLINE void put(std::size_t g, V sums) const {
    S::store(out_ + g * a_.out_stride, a_.rule == nullptr ? sums : score(g, sums));
  }

 private:
  RA_ALWAYS_INLINE V score(std::size_t g, V x) const {
    const ScoreRule& rule = *a_.rule;
    if (rule.base != nullptr) x = S::add(S::set1(rule.base[g]), S::mul(S::set1(rule.unit[g]), x));
    if (rule.spread != nullptr) x = S::add(x, S::mul(S::set1(rule.gain[g]), spread_));
    x = S::select(rows_, x, S::set1(-std::numeric_limits<float>::infinity()));
    if (best_ != nullptr) {
      float* best = best_ + g * rule.parts;
      S::store(best, S::max(x, S::load(best)));  // the second one if one is NaN
    }
    return x;
  }

  const CodeArgs& a_;
  float *out_, *best_ = nullptr;
  typename S::Mask rows_{};
  V spread_ = S::zero();
};

}  // namespace
}  // namespace ra::kernels
