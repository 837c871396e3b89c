// SPDX-License-Identifier: Apache-2.0
// Stands in for CUDA's header of this name where kernels are built for the emulation (block.h): the
// same sources, compiled as C++, find it first. It has what kernels/cuda uses and nothing else.
// Streams do everything at once; device memory (memory.h) can be touched by kernels and copies
// only.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <tuple>

#include "tests/support/cuda/block.h"
#include "tests/support/cuda/memory.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __shared__ static thread_local
#define __align__(n) __attribute__((aligned(n)))

// ---- in kernels
// ----------------------------------------------------------------------------------

using dim3 = ra::cuda_emulation::Dim3;

struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(8) uint2 {
  unsigned x, y;
};
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }

inline void __syncthreads() { ra::cuda_emulation::sync_threads(); }
inline void __syncwarp() { ra::cuda_emulation::sync_warp(); }

template <class T>
T shuffle_from(T value, unsigned lane_of_source) {
  std::uint64_t bits = 0;
  static_assert(sizeof value <= sizeof bits);
  std::memcpy(&bits, &value, sizeof value);
  const std::uint64_t* all = ra::cuda_emulation::exchange(bits);
  std::memcpy(&value, &all[lane_of_source % ra::cuda_emulation::kWarp], sizeof value);
  return value;
}
inline unsigned lane_in_emulated_warp() {
  return (threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z)) %
         ra::cuda_emulation::kWarp;
}
template <class T>
T __shfl_xor_sync(unsigned, T value, int lane_mask) {
  return shuffle_from(value, lane_in_emulated_warp() ^ static_cast<unsigned>(lane_mask));
}
template <class T>
T __shfl_sync(unsigned, T value, int lane) {
  return shuffle_from(value, static_cast<unsigned>(lane));
}

template <class T>
T atomicAdd(T* at, T value) {
  const T old = *at;
  *at = old + value;
  return old;
}
template <class T>
T atomicMin(T* at, T value) {
  const T old = *at;
  *at = std::min(old, value);
  return old;
}

// Four products of signed bytes, added to c.
inline int __dp4a(int a, int b, int c) {
  for (int i = 0; i < 4; ++i)
    c += static_cast<std::int8_t>(a >> (8 * i)) * static_cast<std::int8_t>(b >> (8 * i));
  return c;
}
inline float __expf(float x) { return std::exp(x); }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline int __float2int_rn(float x) { return static_cast<int>(std::nearbyint(x)); }
inline unsigned __float_as_uint(float x) { return std::bit_cast<unsigned>(x); }
inline float __uint_as_float(unsigned x) { return std::bit_cast<float>(x); }

// ---- on the host
// ---------------------------------------------------------------------------------

enum cudaError_t { cudaSuccess = 0, cudaErrorInvalidValue = 1, cudaErrorMemoryAllocation = 2 };
enum cudaMemcpyKind { cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost, cudaMemcpyDeviceToDevice };
enum cudaDeviceAttr {
  cudaDevAttrMultiProcessorCount,
  cudaDevAttrComputeCapabilityMajor,
  cudaDevAttrComputeCapabilityMinor
};
using cudaStream_t = struct EmulatedStream*;
// Its time is its place among all events recorded: one a millisecond.
struct EmulatedEvent {
  long recorded = 0;
};
using cudaEvent_t = EmulatedEvent*;
inline constexpr unsigned cudaStreamNonBlocking = 1, cudaEventDefault = 0;

inline const char* cudaGetErrorString(cudaError_t e) {
  return e == cudaErrorMemoryAllocation ? "out of memory" : "invalid value";
}
inline cudaError_t cudaGetLastError() { return cudaSuccess; }
inline cudaError_t cudaGetDeviceCount(int* n) {
  *n = 1;
  return cudaSuccess;
}
inline cudaError_t cudaSetDevice(int) { return cudaSuccess; }
struct cudaDeviceProp {
  char name[256] = "emulation";
};
inline cudaError_t cudaGetDeviceProperties(cudaDeviceProp* p, int) {
  *p = {};
  return cudaSuccess;
}
inline cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
  *value = attribute == cudaDevAttrMultiProcessorCount ? 3 : 0;
  return cudaSuccess;
}
inline cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  *free = ra::cuda_emulation::free_bytes();
  *total = ra::cuda_emulation::total_bytes();
  return cudaSuccess;
}
inline cudaError_t cudaMalloc(void** p, std::size_t bytes) {
  *p = ra::cuda_emulation::allocate(bytes);
  return *p == nullptr ? cudaErrorMemoryAllocation : cudaSuccess;
}
inline cudaError_t cudaFree(void* p) {
  ra::cuda_emulation::release(p);
  return cudaSuccess;
}
inline cudaError_t cudaMallocHost(void** p, std::size_t bytes) {
  *p = std::aligned_alloc(64, (bytes + 63) / 64 * 64);
  return cudaSuccess;
}
inline cudaError_t cudaFreeHost(void* p) {
  std::free(p);
  return cudaSuccess;
}
inline cudaError_t cudaMemcpy2DAsync(void* dst, std::size_t dst_pitch, const void* src,
                                     std::size_t src_pitch, std::size_t width, std::size_t height,
                                     cudaMemcpyKind kind, cudaStream_t) {
  const bool from = ra::cuda_emulation::is_device(src), to = ra::cuda_emulation::is_device(dst);
  if (from != (kind != cudaMemcpyHostToDevice) || to != (kind != cudaMemcpyDeviceToHost))
    return cudaErrorInvalidValue;
  const ra::cuda_emulation::DeviceAccess access;
  for (std::size_t i = 0; i < height; ++i)
    std::memcpy(static_cast<std::byte*>(dst) + i * dst_pitch,
                static_cast<const std::byte*>(src) + i * src_pitch, width);
  return cudaSuccess;
}
inline cudaError_t cudaMemcpyAsync(void* dst, const void* src, std::size_t bytes,
                                   cudaMemcpyKind kind, cudaStream_t stream) {
  return cudaMemcpy2DAsync(dst, bytes, src, bytes, bytes, 1, kind, stream);
}
inline cudaError_t cudaMemsetAsync(void* p, int value, std::size_t bytes, cudaStream_t) {
  const ra::cuda_emulation::DeviceAccess access;
  std::memset(p, value, bytes);
  return cudaSuccess;
}
inline cudaError_t cudaStreamCreateWithFlags(cudaStream_t* s, unsigned) {
  *s = nullptr;
  return cudaSuccess;
}
inline cudaError_t cudaStreamDestroy(cudaStream_t) { return cudaSuccess; }
inline cudaError_t cudaStreamSynchronize(cudaStream_t) { return cudaSuccess; }
inline cudaError_t cudaStreamWaitEvent(cudaStream_t, cudaEvent_t, unsigned) { return cudaSuccess; }
inline cudaError_t cudaEventCreateWithFlags(cudaEvent_t* e, unsigned) {
  *e = new EmulatedEvent;
  return cudaSuccess;
}
inline cudaError_t cudaEventDestroy(cudaEvent_t e) {
  delete e;
  return cudaSuccess;
}
inline cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t) {
  static std::atomic<long> clock{0};
  e->recorded = ++clock;
  return cudaSuccess;
}
inline cudaError_t cudaEventSynchronize(cudaEvent_t) { return cudaSuccess; }
inline cudaError_t cudaEventElapsedTime(float* ms, cudaEvent_t from, cudaEvent_t to) {
  if (from->recorded == 0 || to->recorded == 0) return cudaErrorInvalidValue;
  *ms = static_cast<float>(to->recorded - from->recorded);
  return cudaSuccess;
}

struct cudaLaunchConfig_t {
  dim3 gridDim, blockDim;
  std::size_t dynamicSmemBytes = 0;
  cudaStream_t stream = nullptr;
  void* attrs = nullptr;
  unsigned numAttrs = 0;
};
template <class... P, class... A>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(P...),
                               A&&... args) {
  const std::tuple<P...> values(std::forward<A>(args)...);
  const ra::cuda_emulation::DeviceAccess access;
  ra::cuda_emulation::run_grid(config->gridDim, config->blockDim,
                               [&] { std::apply(kernel, values); });
  return cudaSuccess;
}
