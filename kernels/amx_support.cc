// SPDX-License-Identifier: Apache-2.0
#include "kernels/amx_support.h"

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

#include "kernels/saved_registers.h"

namespace ra::kernels {

AmxSupport amx_support() {
  constexpr std::uint64_t kTileRegisters = 0x60000;
  unsigned a = 0, b = 0, c = 0, d = 0;
  if ((saved_registers() & kTileRegisters) != kTileRegisters ||
      __get_cpuid_count(7, 0, &a, &b, &c, &d) == 0)
    return {};
  return {.tile = (d >> 24 & 1u) != 0, .bf16 = (d >> 22 & 1u) != 0, .int8 = (d >> 25 & 1u) != 0};
}

bool request_tiles() {
  constexpr long kArchReqXcompPerm = 0x1023, kXfeatureXtiledata = 18;
  return syscall(SYS_arch_prctl, kArchReqXcompPerm, kXfeatureXtiledata) == 0;
}

}  // namespace ra::kernels
