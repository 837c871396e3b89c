// SPDX-License-Identifier: Apache-2.0
// The first bytes of a GGUF file.
#pragma once

#include <cstdint>

#include "lib/gguf/cursor.h"

namespace ra::gguf {

struct Header {
  std::uint32_t version = 0;  // 2 or 3
  std::uint64_t tensors = 0, keys = 0;
};

// Throws Error{kBadData}: not GGUF (well-known other contents are named), version 1, byte-swapped,
// a version of the future, or counts that cannot be in a file of this size.
Header read_header(Cursor& in);

}  // namespace ra::gguf
