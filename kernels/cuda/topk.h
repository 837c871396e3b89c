// SPDX-License-Identifier: Apache-2.0
// The best of each row of scores: larger is better, ties to the smaller id, NaN below every number.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

namespace ra::cuda {

constexpr std::size_t kMostTopk = 2048;

// kernels/topk.h for every row: out_ids and out_scores [rows, min(k, n)], best first. k <=
// kMostTopk.
struct TopkArgs {
  const float* scores = nullptr;  // [rows, n], rows score_stride apart
  std::size_t score_stride = 0;
  const std::uint32_t* ids = nullptr;  // [rows, n] of the same stride, or null: first_id + 0..n-1
  std::uint32_t first_id = 0;
  std::size_t rows = 0, n = 0, k = 0;
  // Rows in pieces of so many scores, the last of the rest, each searched for itself; 0: of n. The
  // best of piece p of row r lie at r * out_stride + p * min(k, piece); of a last piece that has
  // fewer, NaN of the largest id follow, which rank below all others.
  std::size_t piece = 0;
  std::uint32_t* out_ids = nullptr;
  float* out_scores = nullptr;
  std::size_t out_stride = 0;
};
void topk(cudaStream_t stream, const TopkArgs& a);

// The best of row i + bias[c]: out_ids and out_scores [rows]. A row of NaN gives column 0.
struct BestColumnArgs {
  const float* scores = nullptr;  // [rows, n]
  std::size_t score_stride = 0;
  const float* bias = nullptr;  // [n], or null
  std::size_t rows = 0, n = 0;
  std::uint32_t* out_ids = nullptr;
  float* out_scores = nullptr;
};
void best_column(cudaStream_t stream, const BestColumnArgs& a);

}  // namespace ra::cuda
