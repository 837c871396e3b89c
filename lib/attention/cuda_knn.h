// SPDX-License-Identifier: Apache-2.0
// Exact top-k attention by the device alone: it scores all indexed keys, selects each query head's
// best, attends to them and to the static set, and merges. Neither queries nor results leave it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "kernels/cuda/attend.h"
#include "kernels/cuda/device_buffer.h"
#include "kernels/cuda/stream.h"
#include "lib/attention/cuda_sparse.h"
#include "lib/attention/sparse.h"

namespace ra::attention {

// What a step works on. Steps in one stream may share it.
class KnnMemory {
 public:
  static std::uint64_t bytes(std::size_t heads, std::size_t value_dim, std::size_t capacity);
  // For KV caches of that capacity.
  void reserve(std::size_t heads, std::size_t value_dim, std::size_t capacity);

  cuda::DeviceBuffer<float> scores;       // [heads, keys]
  cuda::DeviceBuffer<std::uint32_t> ids;  // of the best, first of each piece of a row
  cuda::DeviceBuffer<float> best;         // their scores
  cuda::DeviceBuffer<float> parts;        // max, sum and acc of every part
};

// Ranges, results and counters are those of `sparse`, whose options it must serve; times are the
// device's. Prefill, layers with a window and heads with a k of their own are CudaSparse's.
class CudaKnn : public model::AttentionPolicy {
 public:
  // An index of type flat over the keys themselves, k for every head, nothing else asked for.
  static bool serves(const SparseOptions& options);

  // Backend and memory must outlive it.
  CudaKnn(model::CudaBackend& backend, std::unique_ptr<SparseAttention> sparse, KnnMemory& memory);

  model::AttendStats attend(const model::AttendInput& in, MatView<float> out) override;

 private:
  model::AttendStats decode(const model::AttendInput& in, MatView<float> out);
  // Ids of the best k of the n keys from `first` on, [heads, k].
  const std::uint32_t* search(const model::AttendInput& in, const cuda::DeviceKeys& kv,
                              cuda::KeyRange keys, std::size_t k);

  model::CudaBackend& backend_;
  const SparseAttention& sparse_;
  CudaSparse beside_cpu_;
  KnnMemory& memory_;
  cuda::Event begun_, searched_, gathered_, static_done_, merged_;
};

}  // namespace ra::attention
