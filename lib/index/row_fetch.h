// SPDX-License-Identifier: Apache-2.0
// Memory that will be read of what a search finds. Asked for as it is found, it comes while the
// search goes on, instead of one row after the other when that is done.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/types.h"

namespace ra::index {

struct RowFetch {
  struct Rows {
    const std::byte* first = nullptr;  // row of id 0
    std::size_t bytes = 0;             // of a row
  };
  Rows keys, values;

  RA_ALWAYS_INLINE void ask(std::uint32_t id) const {
    constexpr std::size_t kLine = 64;
    for (const Rows& rows : {keys, values}) {
      const std::byte* row = rows.first + id * rows.bytes;
      for (std::size_t i = 0; i < rows.bytes; i += kLine) __builtin_prefetch(row + i, 0, 2);
    }
  }
};

}  // namespace ra::index
