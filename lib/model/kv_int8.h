// SPDX-License-Identifier: Apache-2.0
// Rows of an int8 KV cache: symmetric int8 with one f32 scale a row (kernels/attend.h, kInt8), keys
// in a frame of their head.
//
// Why a frame: some models add large constants to a few key channels (Qwen's biases), and one scale
// a row then leaves the other channels few steps. A constant vector moves all logits of a query
// alike, so softmax does not see the centre that is taken off, and a gain per channel goes into the
// query. Relative L2 error of attention on Qwen2.5-0.5B, 2,048 keys, mean (largest layer): bf16
// keys 0.020 (0.126), one scale a row 0.070 (0.446), a scale for 32 dimensions 0.057 (0.379), with
// the centre 0.042 (0.225), with centre and gain 0.021 (0.083). Values need none of it: 0.006.
#pragma once

#include <cstddef>
#include <span>

#include "kernels/types.h"

namespace ra::model {

// Fits `centre` and `gain` [dim] to columns first..first+dim of `rows`: the middle and half the
// range of each. Fewer than kLeastFrameRows rows say nothing about a channel: centre 0, gain 1.
inline constexpr std::size_t kLeastFrameRows = 32;
void fit_key_frame(MatView<const float> rows, std::size_t first, std::span<float> centre,
                   std::span<float> gain);

// (x - centre) / gain as an int8 row, rounded to nearest; empty spans stand for 0 and 1. A row that
// is not finite reads back as NaN.
void quantize_row(std::span<const float> x, std::span<const float> centre,
                  std::span<const float> gain, std::byte* row);

// Element i = int8 * scale * gain[i]; `gain` may be null.
void widen_int8_row(const std::byte* row, const float* gain, std::span<float> out);

}  // namespace ra::model
