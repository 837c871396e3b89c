// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "kernels/cuda/attend.h"
#include "kernels/cuda/device_buffer.h"
#include "lib/model/attention_policy.h"
#include "lib/model/cuda_backend.h"

namespace ra::model {

// Attention of the queries of one token to two ranges of keys on the device: split between blocks,
// then merged.
class CudaDecode {
 public:
  explicit CudaDecode(CudaBackend& backend) : backend_(backend) {}

  // Queues it; out [heads, value_dim] is on the device.
  void finish_to(const AttendInput& in, const cuda::KeyRange (&keys)[2], float* out);
  // Queues it; the merged partials, not divided, are this object's until its next call.
  cuda::DevicePartials partials(const AttendInput& in, const cuda::KeyRange (&keys)[2]);

 private:
  cuda::MergeArgs queue_parts(const AttendInput& in, const cuda::KeyRange (&keys)[2]);

  CudaBackend& backend_;
  cuda::DeviceBuffer<float> parts_, merged_;
};

// Exact attention on the device that `backend` computes on: prefill of every mode, layers with a
// window, and mode `full`.
class CudaAttention : public AttentionPolicy {
 public:
  explicit CudaAttention(CudaBackend& backend) : backend_(backend), decode_(backend) {}
  AttendStats attend(const AttendInput& in, MatView<float> out) override;

 private:
  CudaBackend& backend_;
  CudaDecode decode_;
};

}  // namespace ra::model
