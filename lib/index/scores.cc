// SPDX-License-Identifier: Apache-2.0
#include "lib/index/scores.h"

#include "kernels/ops.h"

namespace ra::index {
namespace {

kernels::ScoreArgs args_of(MatView<const float> queries, MatView<const float> rows) {
  return {.q = queries.data,
          .q_stride = queries.stride,
          .group = queries.rows,
          .dim = rows.cols,
          .keys = rows.data,
          .type = kernels::KvType::kF32,
          .key_stride = rows.stride};
}

}  // namespace

float dot(const float* a, const float* b, std::size_t n) { return kernels::ops().dot(a, b, n); }

float squared_distance(const float* a, const float* b, std::size_t n) {
  float d2 = 0;
  for (std::size_t j = 0; j < n; ++j) d2 += (a[j] - b[j]) * (a[j] - b[j]);
  return d2;
}

void score_block(MatView<const float> queries, MatView<const float> rows, std::size_t first,
                 std::size_t count, float* out, std::size_t out_stride) {
  kernels::ScoreArgs args = args_of(queries, rows);
  args.first = first;
  args.n = count;
  args.out = out;
  args.out_stride = out_stride;
  kernels::ops().score(args);
}

void score_ids(const float* query, MatView<const float> rows, std::span<const std::uint32_t> ids,
               float* out) {
  if (ids.empty()) return;  // a null `ids` would mean a range
  kernels::ScoreArgs args = args_of({query, 1, rows.cols}, rows);
  args.ids = ids.data();
  args.n = ids.size();
  args.out = out;
  args.out_stride = ids.size();
  kernels::ops().score(args);
}

void score_tile(MatView<const float> x, const std::byte* packed, MatView<const float> rows,
                const float* bias, std::byte* scratch, float* out, std::size_t out_stride) {
  kernels::ops().gemm({.type = kernels::Quant::kF32,
                       .w = reinterpret_cast<const std::byte*>(rows.data),
                       .row_bytes = rows.stride * sizeof(float),
                       .rows = rows.rows,
                       .cols = x.cols,
                       .x = x.data,
                       .x_stride = x.stride,
                       .tokens = x.rows,
                       .packed = packed,
                       .bias = bias,
                       .y = out,
                       .y_stride = out_stride,
                       .scratch = scratch});
}

}  // namespace ra::index
