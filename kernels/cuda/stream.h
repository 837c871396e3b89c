// SPDX-License-Identifier: Apache-2.0
// A queue of device work and a point in it.
#pragma once

#include <cstddef>
#include <utility>

#include "kernels/cuda/check.h"

namespace ra::cuda {

class Stream {
 public:
  Stream() { check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "stream"); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  ~Stream() { cudaStreamDestroy(stream_); }

  cudaStream_t get() const { return stream_; }
  void synchronise() const { check(cudaStreamSynchronize(stream_), "device work"); }

  // `rows` rows of n elements from one place on the device to another, rows a stride apart.
  template <class T>
  void copy_rows(T* to, std::size_t to_stride, const T* from, std::size_t from_stride,
                 std::size_t n, std::size_t rows) const {
    check(cudaMemcpy2DAsync(to, to_stride * sizeof(T), from, from_stride * sizeof(T), n * sizeof(T),
                            rows, cudaMemcpyDeviceToDevice, stream_),
          "copy on the device");
  }

 private:
  cudaStream_t stream_ = nullptr;
};

// The time between two of them on the same stream is that of the work between.
class Event {
 public:
  Event() { check(cudaEventCreateWithFlags(&event_, cudaEventDefault), "event"); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  ~Event() { cudaEventDestroy(event_); }

  void record(const Stream& stream) { check(cudaEventRecord(event_, stream.get()), "event"); }
  void wait() const { check(cudaEventSynchronize(event_), "device work"); }
  // Both must be done.
  double ms_since(const Event& before) const {
    float ms = 0;
    check(cudaEventElapsedTime(&ms, before.event_, event_), "event");
    return static_cast<double>(ms);
  }

 private:
  cudaEvent_t event_ = nullptr;
};

}  // namespace ra::cuda
