// SPDX-License-Identifier: Apache-2.0
// Empties the caches between two measurements, as the weights of a model do between two layers.
#pragma once

#include <cstddef>
#include <cstdint>

#include "lib/core/matrix.h"

namespace ra::bench {

class CacheSweep {
 public:
  // More than a few cores are left of a last-level cache.
  static constexpr std::size_t kBytes = std::size_t{256} << 20;

  explicit CacheSweep(std::size_t bytes = kBytes);

  // Reads them all, with all threads of the pool. Returns their sum, which is of no use.
  std::uint64_t run() const;

 private:
  AlignedBuffer<std::uint64_t> buffer_;
};

}  // namespace ra::bench
