// SPDX-License-Identifier: Apache-2.0
// log_mass (kernels/mass.h), written once over S = Simd of simd_avx2.h or simd_avx512.h.
#pragma once

#include <cmath>
#include <cstddef>
#include <limits>

#include "kernels/cpu/tile_f32.h"
#include "kernels/mass.h"
#include "kernels/types.h"

namespace ra::kernels {
namespace {

template <class S>
class MassLanes {
 public:
  using V = typename S::V;

  MassLanes(const MassArgs& a, std::size_t g)
      : a_(a),
        promise_(a.promise + g * a.stride),
        scale_(S::set1(a.scale)),
        reached_(S::set1(a.scale * a.gain[g])),
        half_(S::set1(0.5f / (a.reach * a.reach))) {}

  float log_mass() const {
    V most = none();
    for (std::size_t i = 0; i < a_.n; i += S::kLanes) most = S::max(most, logits(i));
    const float top = S::reduce_max(most);
    if (!std::isfinite(top)) return top;
    V sum = S::zero();
    for (std::size_t i = 0; i < a_.n; i += S::kLanes)
      sum = S::add(sum, exp_lanes<S>(S::sub(logits(i), S::set1(top))));
    return top + std::log(S::reduce_add(sum));
  }

 private:
  static V none() { return S::set1(-std::numeric_limits<float>::infinity()); }

  RA_ALWAYS_INLINE V logits(std::size_t i) const {
    const auto lanes = S::first_lanes(a_.n - i);
    const V reached = S::mul(reached_, S::load(a_.spread + i, lanes));
    const V half = S::min(S::mul(half_, S::mul(reached, reached)), S::set1(kMostHalfVariance));
    const V mean = S::sub(S::mul(scale_, S::load(promise_ + i, lanes)), reached);
    return S::select(lanes, S::add(S::add(mean, S::load(a_.log_size + i, lanes)), half), none());
  }

  const MassArgs& a_;
  const float* promise_;
  V scale_, reached_, half_;
};

template <class S>
RA_ALWAYS_INLINE void log_mass_of_group(const MassArgs& a, float* out) {
  for (std::size_t g = 0; g < a.group; ++g) out[g] = MassLanes<S>(a, g).log_mass();
}

}  // namespace
}  // namespace ra::kernels
