// SPDX-License-Identifier: Apache-2.0
// The limits beside a measurement, found with the same threads on the same machine: memory read
// bandwidth, and the rate of multiply-adds.
#pragma once

#include <cstddef>

namespace ra::bench {

inline constexpr std::size_t kBandwidthBuffer = std::size_t{512} << 20;

// Best of `repeats` passes over a buffer of `bytes` read by all threads of the pool with the loads
// of the active CPU level (kernels/read_sum.h), in GB/s (1e9 bytes). Memory is what a buffer larger
// than the last-level cache measures; it takes about 0.1 s per GB and repeat.
double read_bandwidth_gb_s(std::size_t bytes = kBandwidthBuffer, int repeats = 5);

// Floating-point operations per second of all threads in 1e12/s, at the active CPU level
// (kernels/multiply_peak.h, `exact_f32` too), measured for about `seconds`.
double multiply_peak_tflop_s(bool exact_f32, double seconds = 0.02);

}  // namespace ra::bench
