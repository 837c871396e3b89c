// SPDX-License-Identifier: Apache-2.0
// Inner products of vectors with rows of a matrix, f32.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/types.h"

namespace ra::index {

float dot(const float* a, const float* b, std::size_t n);
float squared_distance(const float* a, const float* b, std::size_t n);

// out[r * out_stride + j] = queries row r . rows row (first + j), j < count.
void score_block(MatView<const float> queries, MatView<const float> rows, std::size_t first,
                 std::size_t count, float* out, std::size_t out_stride);

// out[j] = query . rows row ids[j].
void score_ids(const float* query, MatView<const float> rows, std::span<const std::uint32_t> ids,
               float* out);

// out[i * out_stride + j] = bias[j] + x row i . rows row j, as a matrix product: for many x. In
// bf16 where `packed` holds the rows of x (kernels::gemm_pack), null otherwise. scratch:
// kernels::gemm_scratch_bytes(x.cols).
void score_tile(MatView<const float> x, const std::byte* packed, MatView<const float> rows,
                const float* bias, std::byte* scratch, float* out, std::size_t out_stride);

}  // namespace ra::index
