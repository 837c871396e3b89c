// SPDX-License-Identifier: Apache-2.0
// log_mass and mass_below (kernels/mass.h), written once over S = Simd of simd_avx2.h or
// simd_avx512.h.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <iterator>
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
        g_(g),
        promise_(a.promise + g * a.stride),
        each_(a.each == nullptr ? nullptr : a.each + g * a.stride),
        scale_(S::set1(a.scale)),
        reached_(S::set1(a.scale * a.gain[g])) {}

  float log_mass() const {
    V most = none();
    for (std::size_t i = 0; i < a_.n; i += S::kLanes) most = S::max(most, logits(i));
    const float top = S::reduce_max(most);
    if (a_.peaks != nullptr) a_.peaks[g_] = top;
    if (!std::isfinite(top)) {
      if (each_ != nullptr) std::fill_n(each_, a_.n, 0.0f);
      return top;
    }
    V sum = S::zero();
    for (std::size_t i = 0; i < a_.n; i += S::kLanes) {
      const V mass = exp_lanes<S>(S::sub(logits(i), S::set1(top)));
      if (each_ != nullptr) store(each_ + i, mass, i);
      sum = S::add(sum, mass);
    }
    return top + std::log(S::reduce_add(sum));
  }

  void mass_below(float floor, float* out) const {
    const V unit = S::set1(std::exp(std::min(a_.peaks[g_] - floor, kMostAbove)));
    for (std::size_t i = 0; i < a_.n; i += S::kLanes) {
      const Cells cells = normals(i);
      const V deviation = S::max(cells.deviation, S::set1(kLeastDeviation)),
              steps = S::sub(S::div(S::sub(S::set1(floor), cells.mean), deviation), deviation),
              each = S::load(each_ + i, S::first_lanes(a_.n - i));
      store(out + i, S::mul(S::mul(each, unit), phi(steps)), i);
    }
  }

 private:
  struct Cells {
    V mean, deviation;  // of logits
  };

  static V none() { return S::set1(-std::numeric_limits<float>::infinity()); }

  RA_ALWAYS_INLINE static V phi(V z) {
    z = S::max(S::min(z, S::set1(kMostSteps)), S::set1(-kMostSteps));
    const V square = S::mul(z, z);
    V p = S::zero();
    for (std::size_t i = std::size(kPhi); i-- > 0;) p = S::fma(p, square, S::set1(kPhi[i]));
    return S::max(S::fma(z, p, S::set1(kPhiAtZero)), S::zero());
  }

  // Of the cells from i on those that there are.
  RA_ALWAYS_INLINE void store(float* to, V v, std::size_t i) const {
    if (i + S::kLanes <= a_.n) return S::store(to, v);
    float last[S::kLanes];
    S::store(last, v);
    std::copy_n(last, a_.n - i, to);
  }

  RA_ALWAYS_INLINE Cells normals(std::size_t i) const {
    const auto lanes = S::first_lanes(a_.n - i);
    const V reached = S::mul(reached_, S::load(a_.spread + i, lanes));
    return {S::sub(S::mul(scale_, S::load(promise_ + i, lanes)), reached),
            S::min(S::mul(reached, S::set1(1 / a_.reach)), S::set1(kMostDeviation))};
  }

  RA_ALWAYS_INLINE V logits(std::size_t i) const {
    const auto lanes = S::first_lanes(a_.n - i);
    const auto [mean, deviation] = normals(i);
    const V half = S::mul(S::set1(0.5f), S::mul(deviation, deviation));
    return S::select(lanes, S::add(S::add(mean, S::load(a_.log_size + i, lanes)), half), none());
  }

  const MassArgs& a_;
  std::size_t g_;
  const float* promise_;
  float* each_;
  V scale_, reached_;
};

template <class S>
RA_ALWAYS_INLINE void log_mass_of_group(const MassArgs& a, float* out) {
  for (std::size_t g = 0; g < a.group; ++g) out[g] = MassLanes<S>(a, g).log_mass();
}

template <class S>
RA_ALWAYS_INLINE void mass_below_of_group(const BelowArgs& a, float* out) {
  for (std::size_t g = 0; g < a.cells.group; ++g)
    MassLanes<S>(a.cells, g).mass_below(a.floors[g], out + g * a.cells.stride);
}

}  // namespace
}  // namespace ra::kernels
