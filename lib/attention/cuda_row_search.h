// SPDX-License-Identifier: Apache-2.0
// The exact searches of an index build on a CUDA device.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>

#include "kernels/cuda/copies.h"
#include "kernels/cuda/device_buffer.h"
#include "kernels/cuda/exact_topk.h"
#include "kernels/cuda/stream.h"
#include "lib/index/row_search.h"

namespace ra::attention {

// In a stream of its own, one search at a time. Throws Error{kNoMemory} where the device has no
// room, Error{kUnavailable} where it fails.
class CudaRowSearch : public index::RowSearch {
 public:
  // On the device at a time, at most.
  static constexpr std::size_t kQueries = 8192, kResults = std::size_t{1} << 20;

  explicit CudaRowSearch(int device);

  void best_rows(MatView<const float> queries, MatView<const float> rows, const float* bias,
                 std::size_t m, std::uint32_t* ids, float* scores) override;

  // Device memory of searches among that many rows, m of them a query.
  static std::size_t bytes(std::size_t rows, std::size_t dim, std::size_t m);

 private:
  const float* bring(MatView<const float> x, cuda::DeviceBuffer<float>& to);

  int device_;
  std::mutex busy_;
  cuda::Stream stream_;
  cuda::Copies copies_{stream_};
  cuda::ScoreTiles tiles_{stream_};
  cuda::DeviceBuffer<float> queries_, rows_, bias_, scores_;
  cuda::DeviceBuffer<std::uint32_t> ids_;
};

}  // namespace ra::attention
