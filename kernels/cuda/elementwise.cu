// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/elementwise.h"
#include "kernels/cuda/launch.h"

namespace ra::cuda {
namespace {

constexpr unsigned kThreads = 256;

// Elements of all threads in turn, so that any grid covers them.
template <class Body>
__device__ __forceinline__ void for_elements(std::size_t n, Body&& body) {
  const std::size_t step = std::size_t{gridDim.x} * blockDim.x;
  for (std::size_t i = blockIdx.x * std::size_t{blockDim.x} + threadIdx.x; i < n; i += step)
    body(i);
}

unsigned blocks(std::size_t n) {
  constexpr std::size_t kMost = 4096;
  return static_cast<unsigned>(std::min(kMost, divide_up<std::size_t>(n, kThreads)));
}

__global__ void gate_elements(GateArgs a) {
  for_elements(a.n, [&](std::size_t i) {
    const float g = a.gate[i];
    const float z = a.activation == kernels::Activation::kSilu
                        ? g
                        : kernels::kGeluSlope * (g + kernels::kGeluCubic * g * g * g);
    a.gate[i] = g / (1.0f + expf(-z)) * a.up[i];
  });
}

__global__ void add_elements(AddArgs a) {
  for_elements(a.rows * a.cols, [&](std::size_t i) {
    const std::size_t row = i / a.cols, col = i % a.cols;
    float& x = a.x[row * a.x_stride + col];
    const float y = a.y[row * a.y_stride + col];
    x = a.add ? x + y : y;
  });
}

__global__ void find_bad_row(BadRowArgs a) {
  constexpr unsigned kExponent = 0x7f800000u;  // all its bits set: NaN or infinity
  for_elements(a.rows * a.cols, [&](std::size_t i) {
    const std::size_t row = i / a.cols;
    if ((__float_as_uint(a.x[row * a.stride + i % a.cols]) & kExponent) == kExponent)
      atomicMin(a.row, static_cast<std::uint32_t>(row));
  });
}

__global__ void narrow_elements(NarrowArgs a) {
  for_elements(a.rows * a.cols,
               [&](std::size_t i) { a.out[i] = to_bf16(a.x[i / a.cols * a.stride + i % a.cols]); });
}

}  // namespace

void gate(cudaStream_t stream, const GateArgs& a) {
  if (a.n > 0) launch(stream, {blocks(a.n)}, {kThreads}, gate_elements, a);
}

void add(cudaStream_t stream, const AddArgs& a) {
  if (a.rows * a.cols > 0) launch(stream, {blocks(a.rows * a.cols)}, {kThreads}, add_elements, a);
}

void first_bad_row(cudaStream_t stream, const BadRowArgs& a) {
  if (a.rows * a.cols > 0) launch(stream, {blocks(a.rows * a.cols)}, {kThreads}, find_bad_row, a);
}

void narrow(cudaStream_t stream, const NarrowArgs& a) {
  if (a.rows * a.cols > 0)
    launch(stream, {blocks(a.rows * a.cols)}, {kThreads}, narrow_elements, a);
}

}  // namespace ra::cuda
