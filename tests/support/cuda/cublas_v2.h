// SPDX-License-Identifier: Apache-2.0
// Stands in for cuBLAS (cuda_runtime.h here): the functions of it that kernels/cuda uses, in their
// plainest form.
#pragma once

#include <cstdint>

#include "cuda_runtime.h"
#include "kernels/types.h"

enum cublasStatus_t {
  CUBLAS_STATUS_SUCCESS = 0,
  CUBLAS_STATUS_ALLOC_FAILED = 3,
  CUBLAS_STATUS_NOT_SUPPORTED = 15
};
enum cublasOperation_t { CUBLAS_OP_N, CUBLAS_OP_T };
enum cudaDataType { CUDA_R_32F, CUDA_R_16BF };
enum cublasComputeType_t { CUBLAS_COMPUTE_32F };
enum cublasGemmAlgo_t { CUBLAS_GEMM_DEFAULT };
using cublasHandle_t = struct EmulatedBlas*;

inline const char* cublasGetStatusString(cublasStatus_t) { return "not supported"; }
inline cublasStatus_t cublasCreate(cublasHandle_t* h) {
  *h = nullptr;
  return CUBLAS_STATUS_SUCCESS;
}
inline cublasStatus_t cublasDestroy(cublasHandle_t) { return CUBLAS_STATUS_SUCCESS; }
inline cublasStatus_t cublasSetStream(cublasHandle_t, cudaStream_t) {
  return CUBLAS_STATUS_SUCCESS;
}
inline cublasStatus_t cublasSetWorkspace(cublasHandle_t, void*, std::size_t) {
  return CUBLAS_STATUS_SUCCESS;
}

// C [m, n] = alpha * op(A) op(B) + beta * C, columns contiguous.
inline cublasStatus_t cublasGemmEx(cublasHandle_t, cublasOperation_t op_a, cublasOperation_t op_b,
                                   int m, int n, int k, const void* alpha, const void* a,
                                   cudaDataType a_type, int lda, const void* b, cudaDataType b_type,
                                   int ldb, const void* beta, void* c, cudaDataType c_type, int ldc,
                                   cublasComputeType_t, cublasGemmAlgo_t) {
  if (a_type != b_type || c_type != CUDA_R_32F || ldc < m) return CUBLAS_STATUS_NOT_SUPPORTED;
  if (lda < (op_a == CUBLAS_OP_T ? k : m) || ldb < (op_b == CUBLAS_OP_T ? n : k))
    return CUBLAS_STATUS_NOT_SUPPORTED;
  const ra::cuda_emulation::DeviceAccess access;
  const auto element = [](const void* p, cudaDataType type, std::int64_t i) {
    return type == CUDA_R_32F ? static_cast<const float*>(p)[i]
                              : ra::to_float(static_cast<const ra::bf16*>(p)[i]);
  };
  for (std::int64_t col = 0; col < n; ++col)
    for (std::int64_t row = 0; row < m; ++row) {
      double sum = 0;
      for (std::int64_t i = 0; i < k; ++i)
        sum += static_cast<double>(
                   element(a, a_type, op_a == CUBLAS_OP_T ? row * lda + i : i * lda + row)) *
               static_cast<double>(
                   element(b, b_type, op_b == CUBLAS_OP_T ? i * ldb + col : col * ldb + i));
      float& out = static_cast<float*>(c)[col * ldc + row];
      const float scaled = *static_cast<const float*>(alpha) * static_cast<float>(sum);
      const float b0 = *static_cast<const float*>(beta);
      out = b0 == 0 ? scaled : scaled + b0 * out;
    }
  return CUBLAS_STATUS_SUCCESS;
}
