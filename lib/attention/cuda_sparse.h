// SPDX-License-Identifier: Apache-2.0
// Co-execution (arXiv 2409.10516, section 3.3): the device attends to the static set while the CPU
// retrieves and attends to what it finds; the two partial results are merged on the CPU.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "kernels/cuda/attend.h"
#include "kernels/cuda/device_buffer.h"
#include "kernels/cuda/stream.h"
#include "lib/attention/sparse.h"
#include "lib/core/matrix.h"
#include "lib/model/cuda_attention.h"
#include "lib/model/cuda_backend.h"

namespace ra::attention {

// `sparse` as the policy of a decoder on `backend`. Of one token its queries come down (the queries
// of all heads: kilobytes), the result goes up; prefill and layers with a window are exact on the
// device.
class CudaSparse : public model::AttentionPolicy, private StaticSource {
 public:
  // The backend must outlive it.
  CudaSparse(model::CudaBackend& backend, std::unique_ptr<SparseAttention> sparse);

  model::AttendStats attend(const model::AttendInput& in, MatView<float> out) override;

 private:
  void start(const model::AttendInput& in, std::int64_t sink, std::int64_t window) override;
  double finish(std::span<kernels::Partial> heads) override;

  model::CudaBackend& backend_;
  std::unique_ptr<SparseAttention> sparse_;
  model::CudaAttention exact_;
  model::CudaDecode decode_;
  MatView<const float> queries_;        // of the token, on the device
  cuda::PinnedBuffer<float> partials_;  // max, sum and acc of all heads
  std::size_t value_dim_ = 0;
  cuda::Event begun_, done_;
  Matrix<float> out_;
};

}  // namespace ra::attention
