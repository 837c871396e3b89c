// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/gemm.h"

#include <algorithm>
#include <string>

#include "kernels/cuda/decode_rows.h"
#include "kernels/cuda/elementwise.h"

namespace ra::cuda {
namespace {

void check(cublasStatus_t status, const char* call) {
  if (status != CUBLAS_STATUS_SUCCESS)
    throw DeviceError(std::string(call) + ": " + cublasGetStatusString(status),
                      status == CUBLAS_STATUS_ALLOC_FAILED);
}

struct Operand {
  const void* data;
  cudaDataType type;
  std::size_t stride;
};

// Row-major y = x w^T is column-major y^T = w x^T: w is stored as its own transpose there.
void multiply_panel(cublasHandle_t handle, const Operand& w, const Operand& x, std::size_t rows,
                    std::size_t tokens, std::size_t cols, bool add, float* y,
                    std::size_t y_stride) {
  const float one = 1, keep = add ? 1.0f : 0.0f;
  const auto i = [](std::size_t n) { return static_cast<int>(n); };
  check(cublasGemmEx(handle, CUBLAS_OP_T, CUBLAS_OP_N, i(rows), i(tokens), i(cols), &one, w.data,
                     w.type, i(w.stride), x.data, x.type, i(x.stride), &keep, y, CUDA_R_32F,
                     i(y_stride), CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT),
        "cublasGemmEx");
}

}  // namespace

Gemm::Gemm(cudaStream_t stream) : stream_(stream), workspace_(kWorkspaceBytes) {
  check(cublasCreate(&handle_), "cublasCreate");
  check(cublasSetStream(handle_, stream), "cublasSetStream");
  check(cublasSetWorkspace(handle_, workspace_.data(), workspace_.size()), "cublasSetWorkspace");
}

Gemm::~Gemm() { cublasDestroy(handle_); }

std::size_t Gemm::panel_rows(std::size_t cols, bool exact_f32) {
  const std::size_t row = cols * (exact_f32 ? sizeof(float) : sizeof(bf16));
  return std::max<std::size_t>(1, kPanelBytes / row);
}

void Gemm::multiply(const GemmArgs& a) {
  if (a.tokens == 0 || a.w.rows == 0) return;
  const std::size_t cols = a.w.cols, most = std::min(a.w.rows, panel_rows(cols, a.exact_f32));
  panel_.reserve_discard(most * cols * (a.exact_f32 ? sizeof(float) : sizeof(bf16)));
  Operand x{a.x, CUDA_R_32F, a.x_stride};
  if (!a.exact_f32) {
    x_.reserve_discard(a.tokens * cols);
    narrow(stream_, {a.x, a.x_stride, a.tokens, cols, x_.data()});
    x = {x_.data(), CUDA_R_16BF, cols};
  }
  for (std::size_t first = 0; first < a.w.rows; first += most) {
    const std::size_t rows = std::min(most, a.w.rows - first);
    const auto decode = [&]<class Out>(Out* out) {
      decode_rows(stream_,
                  DecodeRowsArgs<Out>{
                      .w = a.w, .first = first, .count = rows, .out = out, .out_stride = cols});
    };
    if (a.exact_f32)
      decode(reinterpret_cast<float*>(panel_.data()));
    else
      decode(reinterpret_cast<bf16*>(panel_.data()));
    multiply_panel(handle_, {panel_.data(), x.type, cols}, x, rows, a.tokens, cols, a.add,
                   a.y + first, a.y_stride);
  }
}

void Gemm::multiply(MatView<const float> w, MatView<const float> x, MatView<float> y) {
  if (x.rows == 0 || w.rows == 0) return;
  multiply_panel(handle_, {w.data, CUDA_R_32F, w.stride}, {x.data, CUDA_R_32F, x.stride}, w.rows,
                 x.rows, w.cols, /*add=*/false, y.data, y.stride);
}

}  // namespace ra::cuda
