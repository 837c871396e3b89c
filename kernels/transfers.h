// SPDX-License-Identifier: Apache-2.0
// What went between the memory of the host and that of a device.
#pragma once

#include <cstdint>

namespace ra::kernels {

struct Transfers {
  std::int64_t to_device_bytes = 0, to_host_bytes = 0;
  double ms = 0;  // sum over the copies; other work may have been done meanwhile

  Transfers& operator+=(const Transfers& o) {
    to_device_bytes += o.to_device_bytes;
    to_host_bytes += o.to_host_bytes;
    ms += o.ms;
    return *this;
  }
  friend Transfers operator-(const Transfers& a, const Transfers& b) {
    return {a.to_device_bytes - b.to_device_bytes, a.to_host_bytes - b.to_host_bytes, a.ms - b.ms};
  }
};

}  // namespace ra::kernels
