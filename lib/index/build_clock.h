// SPDX-License-Identifier: Apache-2.0
// What a build costs: wall time, and thread-seconds over all threads that worked for it. Thread
// time, not process time, because several builds may run side by side.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>

#include "lib/core/clock.h"

namespace ra::index {

class BuildClock {
 public:
  BuildClock();
  double wall_ms() const;  // since construction
  double lap_ms();         // since the last lap or construction
  double cpu_s() const;    // own thread since construction, plus the workers of parallel()

  // parallel_for in chunks of `grain` items, with the workers' CPU time added to this clock.
  void parallel(std::size_t n, std::size_t grain,
                const std::function<void(std::size_t first, std::size_t last)>& body);

 private:
  std::chrono::steady_clock::time_point start_;
  Stopwatch watch_;  // of laps
  double own_cpu_start_;
  std::atomic<std::int64_t> worker_ns_{0};
};

}  // namespace ra::index
