// SPDX-License-Identifier: Apache-2.0
// A CPU feature counts only if the operating system also saves its registers.
#pragma once

#include <cpuid.h>

#include <cstdint>

namespace ra::kernels {

// XCR0, or 0 where the operating system does not use it.
inline std::uint64_t saved_registers() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  constexpr unsigned kOsXsave = 1u << 27;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & kOsXsave) == 0) return 0;
  std::uint32_t lo = 0, hi = 0;
  __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
  return (static_cast<std::uint64_t>(hi) << 32) | lo;
}

}  // namespace ra::kernels
