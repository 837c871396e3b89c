// SPDX-License-Identifier: Apache-2.0
// The only owners of device memory and of page-locked host memory. Move-only; what they held is
// lost when they grow. Elements are not initialised.
#pragma once

#include <cstddef>
#include <utility>

#include "kernels/cuda/check.h"

namespace ra::cuda {

struct DeviceMemory {
  static void* allocate(std::size_t bytes) {
    void* p = nullptr;
    check(cudaMalloc(&p, bytes), "cudaMalloc");
    return p;
  }
  static void release(void* p) { cudaFree(p); }
};

struct PinnedMemory {
  static void* allocate(std::size_t bytes) {
    void* p = nullptr;
    check(cudaMallocHost(&p, bytes), "cudaMallocHost");
    return p;
  }
  static void release(void* p) { cudaFreeHost(p); }
};

template <class T, class Memory>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(std::size_t n) { reserve_discard(n); }
  Buffer(Buffer&& o) noexcept
      : data_(std::exchange(o.data_, nullptr)), size_(std::exchange(o.size_, 0)) {}
  Buffer& operator=(Buffer&& o) noexcept {
    std::swap(data_, o.data_);
    std::swap(size_, o.size_);
    return *this;
  }
  ~Buffer() {
    if (data_ != nullptr) Memory::release(data_);
  }

  // At least n elements. Growing frees the old ones first: cudaFree waits for the work that may be
  // using them; with page-locked memory the caller has waited.
  void reserve_discard(std::size_t n) {
    if (n <= size_) return;
    if (data_ != nullptr) Memory::release(std::exchange(data_, nullptr));
    size_ = 0;
    data_ = static_cast<T*>(Memory::allocate(n * sizeof(T)));
    size_ = n;
  }

  T* data() const { return data_; }
  std::size_t size() const { return size_; }

 private:
  T* data_ = nullptr;
  std::size_t size_ = 0;
};

template <class T>
using DeviceBuffer = Buffer<T, DeviceMemory>;
template <class T>
using PinnedBuffer = Buffer<T, PinnedMemory>;  // the host's; copies to and from it overlap

}  // namespace ra::cuda
