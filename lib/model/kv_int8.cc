// SPDX-License-Identifier: Apache-2.0
#include "lib/model/kv_int8.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

namespace ra::model {
namespace {

constexpr float kMost = 127;
// A channel without any spread still divides.
constexpr float kLeastGain = 1e-6f;

}  // namespace

void fit_key_frame(MatView<const float> rows, std::size_t first, std::span<float> centre,
                   std::span<float> gain) {
  for (std::size_t i = 0; i < centre.size(); ++i) {
    centre[i] = 0, gain[i] = 1;
    if (rows.rows < kLeastFrameRows) continue;
    float low = rows.row(0)[first + i], high = low;
    for (std::size_t t = 1; t < rows.rows; ++t) {
      low = std::min(low, rows.row(t)[first + i]);
      high = std::max(high, rows.row(t)[first + i]);
    }
    if (!std::isfinite(low + high)) continue;
    centre[i] = (low + high) / 2;
    gain[i] = std::max((high - low) / 2, kLeastGain);
  }
}

void quantize_row(std::span<const float> x, std::span<const float> centre,
                  std::span<const float> gain, std::byte* row) {
  const auto inner = [&](std::size_t i) {
    return centre.empty() ? x[i] : (x[i] - centre[i]) / gain[i];
  };
  float largest = 0;
  bool finite = true;
  for (std::size_t i = 0; i < x.size(); ++i) {
    largest = std::max(largest, std::abs(inner(i)));
    finite = finite && std::isfinite(inner(i));
  }
  const float scale = finite ? largest / kMost : std::nanf("");
  const float inverse = finite && scale > 0 ? 1 / scale : 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const float step = inverse > 0 ? std::nearbyint(inner(i) * inverse) : 0;
    row[i] = static_cast<std::byte>(static_cast<std::int8_t>(std::clamp(step, -kMost, kMost)));
  }
  std::memcpy(row + x.size(), &scale, sizeof scale);
}

void widen_int8_row(const std::byte* row, const float* gain, std::span<float> out) {
  float scale = 0;
  std::memcpy(&scale, row + out.size(), sizeof scale);
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = static_cast<float>(static_cast<std::int8_t>(row[i])) * scale *
             (gain != nullptr ? gain[i] : 1.0f);
}

}  // namespace ra::model
