// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/decode_rows.h"
#include "kernels/cuda/formats.cuh"
#include "kernels/cuda/launch.h"

namespace ra::cuda {
namespace {

constexpr unsigned kThreads = 128;

__device__ __forceinline__ void store(float v, float* out) { *out = v; }
__device__ __forceinline__ void store(float v, bf16* out) { *out = to_bf16(v); }

// One thread an octet; blocks of x cover a row, those of y the rows.
template <class F, class Out>
__global__ void decode(DecodeRowsArgs<Out> a) {
  const unsigned o = blockIdx.x * blockDim.x + threadIdx.x;
  const std::size_t col = std::size_t{o} * kOctet;
  if (col >= a.w.cols) return;
  for (std::size_t i = blockIdx.y; i < a.count; i += gridDim.y) {
    const std::size_t row = a.ids != nullptr ? static_cast<std::size_t>(a.ids[i]) : a.first + i;
    float v[kOctet];
    decode_octet<F>(reinterpret_cast<const std::uint8_t*>(a.w.data) + row * a.w.row_bytes, o,
                    a.w.cols, v);
    for (unsigned j = 0; j < kOctet && col + j < a.w.cols; ++j)
      store(a.scale == 1 ? v[j] : v[j] * a.scale, a.out + i * a.out_stride + col + j);
  }
}

template <class Out>
void launch_decode(cudaStream_t stream, const DecodeRowsArgs<Out>& a) {
  if (a.count == 0 || a.w.cols == 0) return;
  const auto blocks = static_cast<unsigned>(divide_up<std::size_t>(a.w.cols, kOctet * kThreads));
  const auto rows = static_cast<unsigned>(std::min<std::size_t>(a.count, 32768));
  const auto run = [&]<class F>() {
    launch(stream, {blocks, rows}, {kThreads}, decode<F, Out>, a);
  };
  if (!visit_format(a.w.type, run, BlockFormats{})) visit_format(a.w.type, run, FloatFormats{});
}

}  // namespace

void decode_rows(cudaStream_t stream, const DecodeRowsArgs<float>& a) { launch_decode(stream, a); }
void decode_rows(cudaStream_t stream, const DecodeRowsArgs<bf16>& a) { launch_decode(stream, a); }

}  // namespace ra::cuda
