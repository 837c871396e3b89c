// SPDX-License-Identifier: Apache-2.0
// Copies between host and device, queued in a stream, and what they come to.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "kernels/cuda/stream.h"
#include "kernels/transfers.h"

namespace ra::cuda {

class Copies {
 public:
  // The stream must outlive it.
  explicit Copies(const Stream& stream) : stream_(stream) {}

  // Host memory may be used again once the stream has come to here.
  template <class T>
  void to_device(T* device, const T* host, std::size_t n) {
    queue(device, host, n * sizeof(T), cudaMemcpyHostToDevice, "copy to the device");
    total_.to_device_bytes += static_cast<std::int64_t>(n * sizeof(T));
  }
  template <class T>
  void to_host(T* host, const T* device, std::size_t n) {
    queue(host, device, n * sizeof(T), cudaMemcpyDeviceToHost, "copy to the host");
    total_.to_host_bytes += static_cast<std::int64_t>(n * sizeof(T));
  }

  const Stream& stream() const { return stream_; }
  // All so far; waits for them.
  kernels::Transfers total() {
    settle();
    return total_;
  }

 private:
  struct Span {
    Event begin, end;
  };
  static constexpr std::size_t kPending = 256;

  void queue(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, const char* what) {
    if (pending_ == kPending) settle();
    Span& span = spans_[pending_];
    span.begin.record(stream_);
    check(cudaMemcpyAsync(to, from, bytes, kind, stream_.get()), what);
    span.end.record(stream_);
    ++pending_;
  }
  void settle() {
    for (std::size_t i = 0; i < pending_; ++i) {
      spans_[i].end.wait();
      total_.ms += spans_[i].end.ms_since(spans_[i].begin);
    }
    pending_ = 0;
  }

  const Stream& stream_;
  std::array<Span, kPending> spans_;
  std::size_t pending_ = 0;
  kernels::Transfers total_;
};

}  // namespace ra::cuda
