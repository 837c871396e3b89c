// SPDX-License-Identifier: Apache-2.0
#include "lib/index/page_bounds.h"

#include <algorithm>

#include "lib/core/error.h"

namespace ra::index {
namespace {

// The smallest bf16 that is not below v.
bf16 round_up(float v) {
  const bf16 nearest = to_bf16(v);
  if (to_float(nearest) >= v) return nearest;
  // One step up: positive numbers rise with their bits, negative ones fall.
  const int step = (nearest.bits & 0x8000u) == 0 ? 1 : -1;
  return {static_cast<std::uint16_t>(nearest.bits + step)};
}

bf16 round_down(float v) {
  const bf16 up = round_up(-v);
  return {static_cast<std::uint16_t>(up.bits ^ 0x8000u)};
}

}  // namespace

void page_bounds(MatView<const float> keys, std::span<bf16> out) {
  RA_CHECK(keys.rows > 0 && out.size() == 2 * keys.cols);
  for (std::size_t j = 0; j < keys.cols; ++j) {
    float largest = keys.row(0)[j], smallest = largest;
    for (std::size_t i = 1; i < keys.rows; ++i) {
      largest = std::max(largest, keys.row(i)[j]);
      smallest = std::min(smallest, keys.row(i)[j]);
    }
    out[j] = round_up(largest);
    out[keys.cols + j] = round_down(smallest);
  }
}

void bound_query(std::span<const float> query, std::span<float> out) {
  RA_CHECK(out.size() == 2 * query.size());
  for (std::size_t j = 0; j < query.size(); ++j) {
    out[j] = std::max(query[j], 0.0f);
    out[query.size() + j] = std::min(query[j], 0.0f);
  }
}

}  // namespace ra::index
