// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "lib/core/matrix.h"
#include "lib/model/backend.h"

namespace ra::model {

// The forward pass on the kernels of the active CPU level and the thread pool. A few rows (decode)
// go through gemv, straight from the quantised blocks; many rows (prefill) through gemm. Rows of
// the weights are split over threads, sums never are: the same bits for any number of threads.
class CpuBackend : public Backend {
 public:
  explicit CpuBackend(Compute compute = Compute::kAuto) : compute_(compute) {}

  void embed(const Weight& table, std::span<const std::int32_t> ids, MatView<float> x) override;
  void matmul(const Weight& w, const Weight& bias, MatView<const float> x,
              MatView<float> y) override;
  void matmul_add(const Weight& w, MatView<const float> x, MatView<float> y) override;
  void rms_norm(MatView<const float> x, const Weight& gain, float eps, MatView<float> y) override;
  void rope(const Rope& rope, std::int64_t pos, MatView<float> x) override;
  void swiglu(MatView<const float> up, MatView<float> gate) override;

 private:
  // y = x w^T + bias, or y += x w^T
  void multiply(const Weight& w, const float* bias, bool add, MatView<const float> x,
                MatView<float> y);
  void multiply_few(const Weight& w, const float* bias, bool add, MatView<const float> x,
                    MatView<float> y);
  void multiply_many(const Weight& w, const float* bias, bool add, MatView<const float> x,
                     MatView<float> y);
  // A vector (gain or bias) as f32: in place if it is stored so, else decoded to vector_.
  const float* vector(const Weight& w);
  void fill_angles(const Rope& rope, std::int64_t pos, std::size_t tokens);

  Compute compute_;
  AlignedBuffer<float> vector_;
  AlignedBuffer<std::byte> activations_;           // quantised (gemv) or packed (gemm)
  std::vector<AlignedBuffer<std::byte>> scratch_;  // gemm's panel, per thread
  // cos and sin [tokens, rotary_dims / 2] of the last positions asked for: all layers share them.
  AlignedBuffer<float> cos_, sin_;
  std::vector<double> angles_inv_freq_;
  float angles_magnitude_ = 0;
  std::int64_t angles_pos_ = -1;
  std::size_t angles_tokens_ = 0;
};

}  // namespace ra::model
