// SPDX-License-Identifier: Apache-2.0
// Device memory of the emulation: host memory that faults unless a kernel or a copy is under way,
// so that a host function which reads a device pointer is found. New memory holds 0xff in every
// byte (NaN); bytes written outside of an allocation end the process when it is released.
#pragma once

#include <cstddef>

namespace ra::cuda_emulation {

void* allocate(std::size_t bytes);  // null if there is no room
void release(void* p);
bool is_device(const void* p);
std::size_t free_bytes();
std::size_t total_bytes();

class DeviceAccess {
 public:
  DeviceAccess();
  ~DeviceAccess();
  DeviceAccess(const DeviceAccess&) = delete;
  DeviceAccess& operator=(const DeviceAccess&) = delete;
};

}  // namespace ra::cuda_emulation
