// SPDX-License-Identifier: Apache-2.0
// Whether there are tiles. A file of its own, so that tests can put tiles in memory in its place.
#pragma once

namespace ra::kernels {

struct AmxSupport {
  bool tile = false, bf16 = false, int8 = false;
  bool all() const { return tile && bf16 && int8; }
};

// Of this CPU.
AmxSupport amx_support();

// Linux hands out the 8 KiB of tile state only to processes that ask (since 5.16). Asks; false if
// they are not given.
bool request_tiles();

}  // namespace ra::kernels
