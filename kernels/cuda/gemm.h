// SPDX-License-Identifier: Apache-2.0
// Y = X W^T for many activation rows, W in GGUF blocks: panels of weight rows are decoded to bf16
// and multiplied by cuBLAS, with sums in f32. cuBLAS is seen only here.
#pragma once

#include <cublas_v2.h>

#include <cstddef>

#include "kernels/cuda/device_buffer.h"
#include "kernels/cuda/weights.h"
#include "kernels/types.h"

namespace ra::cuda {

// y [tokens, rows] = (add ? y : 0) + x [tokens, cols] * w^T.
struct GemmArgs {
  WeightRows w;
  const float* x = nullptr;
  std::size_t x_stride = 0, tokens = 0;
  bool add = false;
  bool exact_f32 = false;  // weights and activations stay f32
  float* y = nullptr;
  std::size_t y_stride = 0;
};

// Bound to one stream, whose work must be done before it goes.
class Gemm {
 public:
  // Bytes of device memory for one panel of decoded weights; a row must fit.
  static constexpr std::size_t kPanelBytes = std::size_t{64} << 20;
  // Of cuBLAS's own scratch memory: what it asks for on Hopper.
  static constexpr std::size_t kWorkspaceBytes = std::size_t{32} << 20;

  explicit Gemm(cudaStream_t stream);
  Gemm(const Gemm&) = delete;
  Gemm& operator=(const Gemm&) = delete;
  ~Gemm();

  // Weight rows decoded at a time.
  static std::size_t panel_rows(std::size_t cols, bool exact_f32);

  void multiply(const GemmArgs& a);
  // y [tokens, rows] = x [tokens, cols] * w [rows, cols]^T, all f32 and on the device.
  void multiply(MatView<const float> w, MatView<const float> x, MatView<float> y);

 private:
  cudaStream_t stream_;
  cublasHandle_t handle_ = nullptr;
  DeviceBuffer<std::byte> workspace_, panel_;
  DeviceBuffer<bf16> x_;
};

}  // namespace ra::cuda
