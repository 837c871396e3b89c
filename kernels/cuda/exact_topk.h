// SPDX-License-Identifier: Apache-2.0
// What an index build costs most, on the device: the exact best keys of many queries, and the
// nearest of some centres to many rows. Both are tiles of a matrix product, of which only the best
// stay.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cuda/device_buffer.h"
#include "kernels/cuda/gemm.h"
#include "kernels/cuda/stream.h"
#include "kernels/cuda/topk.h"
#include "kernels/types.h"

namespace ra::cuda {

// All matrices are on the device. Products and sums are f32 (cuBLAS, no TF32): ids agree with the
// CPU's but for scores that differ by rounding alone. One stream; results are there once it is
// done.
class ScoreTiles {
 public:
  // Queries and keys of one tile: 16 MiB of scores.
  static constexpr std::size_t kQueries = 512, kKeys = 8192;

  explicit ScoreTiles(const Stream& stream) : stream_(stream), gemm_(stream.get()) {}

  // ids and scores [queries, min(k, keys)] of the largest q . k + bias[key] (`bias` may be null),
  // best first, ties to the smaller key; k <= kMostTopk.
  void best_keys(MatView<const float> queries, MatView<const float> keys, const float* bias,
                 std::size_t k, std::uint32_t* ids, float* scores);
  // Of each row of x the centre with the largest x . c + bias[c]; with bias -|c|^2 / 2 the nearest.
  void best_centres(MatView<const float> x, MatView<const float> centres, const float* bias,
                    std::uint32_t* ids, float* scores);

  // Device memory that it takes of its own, beside that of Gemm.
  static std::size_t bytes(std::size_t k) {
    return kQueries * (kKeys * sizeof(float) + 2 * k * (sizeof(float) + sizeof(std::uint32_t)));
  }

 private:
  MatView<float> score(MatView<const float> queries, MatView<const float> keys);

  const Stream& stream_;
  Gemm gemm_;
  DeviceBuffer<float> tile_;
  // The best so far of each query and the best of its next tile, side by side.
  DeviceBuffer<std::uint32_t> ids_;
  DeviceBuffer<float> scores_;
};

}  // namespace ra::cuda
