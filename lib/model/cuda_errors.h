// SPDX-License-Identifier: Apache-2.0
// Failures of a device in the program's words.
#pragma once

#include <utility>

#include "kernels/cuda/check.h"

namespace ra::model {

// Throws Error{kNoMemory} with free and total bytes, or Error{kUnavailable} with what CUDA says.
[[noreturn]] void fail_device(const cuda::DeviceError& e);

// What body() returns.
template <class Body>
decltype(auto) on_device(Body&& body) {
  try {
    return std::forward<Body>(body)();
  } catch (const cuda::DeviceError& e) {
    fail_device(e);
  }
}

}  // namespace ra::model
