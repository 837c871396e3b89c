// SPDX-License-Identifier: Apache-2.0
#include "kernels/runs.h"

namespace ra::kernels {

template <>
void run_scores<Level::kScalar>(const float* scores, const Run* runs, std::size_t n,
                                float* out) noexcept {
  for (std::size_t r = 0; r < n; ++r) {
    const Run& run = runs[r];
    for (std::size_t i = 0; i < run.rows; ++i) out[i] = run.base + run.unit * scores[run.at + i];
    out += run.rows;
  }
}

template <>
std::size_t runs_at_least<Level::kScalar>(const GroupRunArgs& a) noexcept {
  std::size_t count = 0;
  std::uint32_t row = 0;
  for (std::size_t r = 0; r < a.n; ++r)
    for (std::uint32_t i = 0; i < a.runs[r].rows; ++i, ++row) {
      bool any = false;
      for (std::size_t g = 0; g < a.group; ++g)
        any = any || a.scores[g * a.stride + a.runs[r].at + i] >= a.floors[r * a.group + g];
      if (any) a.out[count++] = row;
    }
  return count;
}

}  // namespace ra::kernels
