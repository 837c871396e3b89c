// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/mass_lanes.h"
#include "kernels/cpu/simd_avx2.h"

namespace ra::kernels {

template <>
void log_mass<Level::kAvx2>(const MassArgs& a, float* out) noexcept {
  log_mass_of_group<Simd>(a, out);
}

template <>
void mass_below<Level::kAvx2>(const BelowArgs& a, float* out) noexcept {
  mass_below_of_group<Simd>(a, out);
}

}  // namespace ra::kernels
