// SPDX-License-Identifier: Apache-2.0
// Inner products of one or a few vectors with rows of a matrix, f32.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/types.h"

namespace ra::index {

float dot(const float* a, const float* b, std::size_t n);

// out[r * out_stride + j] = queries row r . rows row (first + j), j < count.
void score_block(MatView<const float> queries, MatView<const float> rows, std::size_t first,
                 std::size_t count, float* out, std::size_t out_stride);

// out[j] = query . rows row ids[j].
void score_ids(const float* query, MatView<const float> rows, std::span<const std::uint32_t> ids,
               float* out);

}  // namespace ra::index
