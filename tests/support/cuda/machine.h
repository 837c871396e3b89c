// SPDX-License-Identifier: Apache-2.0
// What the tests of device code run on: a device, or the emulation in two orders of the threads.
#pragma once

#include <cuda_runtime.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <string>
#include <vector>

#include "kernels/cuda/copies.h"
#include "kernels/cuda/device_buffer.h"

namespace ra::testing {

std::vector<std::string> machines();
// Makes it the one that runs kernels. Why it cannot be, or "".
std::string use_machine(const std::string& name);

// Suites derive from it: `class NormTest : public DeviceTest {};
// RA_INSTANTIATE_MACHINES(NormTest);`
class DeviceTest : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (const std::string why = use_machine(GetParam()); !why.empty())
      GTEST_SKIP() << "NOT TESTED ON A DEVICE: " << why;
  }
};

// A vector on the device, `shift` elements past the alignment of device memory.
template <class T>
class OnDevice {
 public:
  explicit OnDevice(const std::vector<T>& values, std::size_t shift = 0)
      : size_(values.size()), shift_(shift), buffer_(values.size() + shift + 1) {
    const cuda::Stream stream;
    cuda::Copies(stream).to_device(data(), values.data(), size_);
    stream.synchronise();
  }

  T* data() const { return buffer_.data() + shift_; }
  // After all that has been launched on `stream`.
  std::vector<T> host(const cuda::Stream& stream) const {
    std::vector<T> values(size_);
    cuda::Copies(stream).to_host(values.data(), data(), size_);
    stream.synchronise();
    return values;
  }

 private:
  std::size_t size_, shift_;
  cuda::DeviceBuffer<T> buffer_;
};

}  // namespace ra::testing

#define RA_INSTANTIATE_MACHINES(suite)                                                    \
  INSTANTIATE_TEST_SUITE_P(Machines, suite, ::testing::ValuesIn(ra::testing::machines()), \
                           [](const auto& param) { return param.param; })
