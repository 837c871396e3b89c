// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/formats.cuh"
#include "kernels/cuda/gemv.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/quantized_row.cuh"
#include "kernels/cuda/reduce.cuh"

namespace ra::cuda {
namespace {

constexpr unsigned kWarps = 4;  // of a block: one weight row each

__device__ __forceinline__ std::size_t weight_row() {
  return blockIdx.x * std::size_t{kWarps} + threadIdx.x / kWarpSize;
}

template <unsigned tokens>
__device__ __forceinline__ void store_row(const GemvArgs& a, std::size_t row,
                                          float (&sum)[tokens]) {
  for (unsigned t = 0; t < tokens; ++t) sum[t] = warp_sum(sum[t]);
  if (threadIdx.x % kWarpSize != 0) return;
  for (unsigned t = 0; t < tokens && t < a.tokens; ++t) {
    float& y = a.y[t * a.y_stride + row];
    y = (a.add ? y : 0.0f) + sum[t] + (a.bias != nullptr ? a.bias[row] : 0.0f);
  }
}

// A lane takes every 32nd octet of the row: neighbouring lanes read neighbouring bytes, and four of
// them share the scales of 32 weights.
template <class F, unsigned tokens>
__global__ void __launch_bounds__(kWarps* kWarpSize) gemv_integer(GemvArgs a) {
  const std::size_t row = weight_row();
  if (row >= a.w.rows) return;  // whole warps
  const auto* w = reinterpret_cast<const std::uint8_t*>(a.w.data) + row * a.w.row_bytes;
  const auto octets = static_cast<unsigned>(a.w.cols / kOctet);
  float sum[tokens] = {};
  for (unsigned o = threadIdx.x % kWarpSize; o < octets; o += kWarpSize) {
    const unsigned col = o * kOctet, sub = col % F::kBlock / 32;
    const std::uint8_t* p = w + std::size_t{col / F::kBlock} * F::kBytes;
    const Octet q = F::octet(p, sub, o % 4);
    const Affine affine = F::affine(p, sub, o % 4 / 2);
#pragma unroll
    for (unsigned t = 0; t < tokens; ++t) {
      if (t >= a.tokens) break;
      const QuantizedRow x = quantized_row(const_cast<std::byte*>(a.quantized), t, a.w.cols);
      const auto high = *reinterpret_cast<const uint2*>(x.high + col);
      const auto low = *reinterpret_cast<const uint2*>(x.low + col);
      int of_high = __dp4a(static_cast<int>(q.words[0]), static_cast<int>(high.x), 0);
      of_high = __dp4a(static_cast<int>(q.words[1]), static_cast<int>(high.y), of_high);
      int products = __dp4a(static_cast<int>(q.words[0]), static_cast<int>(low.x), 256 * of_high);
      products = __dp4a(static_cast<int>(q.words[1]), static_cast<int>(low.y), products);
      sum[t] += affine.scale * x.scale[col / 32] * static_cast<float>(products);
      if (o % 2 == 0) sum[t] -= affine.min * x.half_sum[col / 16];  // once for both octets
    }
  }
  store_row(a, row, sum);
}

template <class F, unsigned tokens>
__global__ void __launch_bounds__(kWarps* kWarpSize) gemv_float(GemvArgs a) {
  const std::size_t row = weight_row();
  if (row >= a.w.rows) return;  // whole warps
  const auto* w = reinterpret_cast<const std::uint8_t*>(a.w.data) + row * a.w.row_bytes;
  const auto octets = static_cast<unsigned>(divide_up<std::size_t>(a.w.cols, kOctet));
  float sum[tokens] = {};
  for (unsigned o = threadIdx.x % kWarpSize; o < octets; o += kWarpSize) {
    float v[kOctet];
    decode_octet<F>(w, o, a.w.cols, v);
#pragma unroll
    for (unsigned t = 0; t < tokens; ++t) {
      if (t >= a.tokens) break;
      const float* x = a.x + t * a.x_stride;
      for (unsigned i = 0; i < kOctet; ++i) {
        const std::size_t col = std::size_t{o} * kOctet + i;
        if (col < a.w.cols) sum[t] += v[i] * x[col];
      }
    }
  }
  store_row(a, row, sum);
}

template <class F, unsigned tokens>
void launch_rows(cudaStream_t stream, const GemvArgs& a) {
  const dim3 grid(static_cast<unsigned>(divide_up<std::size_t>(a.w.rows, kWarps)));
  const dim3 block(kWarps * kWarpSize);
  if constexpr (requires { F::kBlock; }) {
    if (a.quantized != nullptr) return launch(stream, grid, block, gemv_integer<F, tokens>, a);
  }
  launch(stream, grid, block, gemv_float<F, tokens>, a);
}

}  // namespace

void gemv(cudaStream_t stream, const GemvArgs& a) {
  if (a.w.rows == 0 || a.tokens == 0) return;
  const auto run = [&]<class F>() {
    if (a.tokens == 1) return launch_rows<F, 1>(stream, a);
    launch_rows<F, kGemvTokens>(stream, a);
  };
  if (!visit_format(a.w.type, run, BlockFormats{})) visit_format(a.w.type, run, FloatFormats{});
}

}  // namespace ra::cuda
