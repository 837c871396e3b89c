// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <initializer_list>
#include <vector>

#include "kernels/gemv.h"
#include "lib/core/matrix.h"
#include "lib/model/backend.h"

namespace ra::model {

// The forward pass on the kernels of the active CPU level and the thread pool. A few rows (decode)
// go through gemv, straight from the quantised blocks; many rows (prefill) through gemm. Rows of
// the weights are split over threads, sums never are: the same bits for any number of threads.
class CpuBackend : public Backend {
 public:
  explicit CpuBackend(Compute compute = Compute::kAuto) : compute_(compute) {}

  void embed(const Weight& table, std::span<const std::int32_t> ids, float scale,
             MatView<float> x) override;
  void matmul(MatView<const float> x, std::initializer_list<Product> products) override;
  void matmul_add(const Weight& w, MatView<const float> x, MatView<float> y) override;
  void add(MatView<const float> y, MatView<float> x) override;
  void rms_norm(MatView<const float> x, const Weight& gain, float eps, MatView<float> y) override;
  void rope(const Rope& rope, std::int64_t pos, MatView<float> x) override;
  void feed_forward(const FeedForward& w, MatView<const float> h, MatView<float> y) override;

 private:
  struct Job {  // y = x w^T + bias, or y += x w^T
    const Weight* w;
    const float* bias;
    bool add;
    MatView<float> y;
  };
  void multiply(const std::vector<Job>& jobs, MatView<const float> x);
  void multiply_few(const std::vector<Job>& jobs, MatView<const float> x);
  void multiply_many(const Job& job, MatView<const float> x, const std::byte* packed);
  void multiply_rows(const Weight& w, const kernels::Activations& x, std::size_t first,
                     std::size_t count, bool add, MatView<float> y) const;
  void gate_few(const FeedForward& w, MatView<const float> h, MatView<float> gate,
                MatView<float> up);
  void feed_forward_tiles(const FeedForward& w, MatView<const float> h, MatView<float> y);
  // The forms that products read, both in activations_: x as integers for gemv if `quantised`, and
  // x as tiles for gemm, null where the level has none.
  kernels::Activations activations(MatView<const float> x, bool quantised);
  const std::byte* pack(MatView<const float> x);
  void reserve_scratch(std::size_t bytes);
  std::byte* scratch(int thread);
  // A vector (gain or bias) as f32: in place if it is stored so, else decoded to a buffer.
  const float* vector(const Weight& w, std::size_t slot);
  void fill_angles(const Rope& rope, std::int64_t pos, std::size_t tokens);

  Compute compute_;
  std::vector<AlignedBuffer<float>> vectors_;
  AlignedBuffer<std::byte> activations_;
  AlignedBuffer<std::byte> hidden_;                // of the feed-forward block, as tiles
  Matrix<float> gate_, up_;                        // the same where there are none
  std::vector<AlignedBuffer<std::byte>> scratch_;  // panels of weights, per thread
  // cos and sin [tokens, rotary_dims / 2] of the last positions asked for: all layers share them.
  AlignedBuffer<float> cos_, sin_;
  std::vector<double> angles_inv_freq_;
  float angles_magnitude_ = 0;
  std::int64_t angles_pos_ = -1;
  std::size_t angles_tokens_ = 0;
};

}  // namespace ra::model
