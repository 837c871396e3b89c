// SPDX-License-Identifier: Apache-2.0
#include "kernels/amx_support.h"

namespace ra::kernels {

AmxSupport amx_support() { return {.tile = true, .bf16 = true, .int8 = true}; }
bool request_tiles() { return true; }

}  // namespace ra::kernels
