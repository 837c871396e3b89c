// SPDX-License-Identifier: Apache-2.0
// The limit beside a measurement: memory read bandwidth of this machine, with the same threads.
#pragma once

#include <cstddef>

namespace ra::bench {

inline constexpr std::size_t kBandwidthBuffer = std::size_t{512} << 20;

// Best of `repeats` passes over a buffer of `bytes` (larger than the last-level cache) read by all
// threads of the pool, in GB/s (1e9 bytes). Takes about 0.1 s per GB and repeat.
double read_bandwidth_gb_s(std::size_t bytes = kBandwidthBuffer, int repeats = 5);

}  // namespace ra::bench
