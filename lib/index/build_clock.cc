// SPDX-License-Identifier: Apache-2.0
#include "lib/index/build_clock.h"

#include <algorithm>
#include <ctime>
#include <thread>

#include "lib/core/parallel.h"

namespace ra::index {
namespace {

double thread_cpu_s() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

}  // namespace

BuildClock::BuildClock()
    : start_(std::chrono::steady_clock::now()), own_cpu_start_(thread_cpu_s()) {}

double BuildClock::wall_ms() const { return ms_since(start_); }

double BuildClock::lap_ms() { return watch_.lap(); }

double BuildClock::cpu_s() const {
  return thread_cpu_s() - own_cpu_start_ + 1e-9 * static_cast<double>(worker_ns_.load());
}

void BuildClock::parallel(std::size_t n, std::size_t grain,
                          const std::function<void(std::size_t, std::size_t)>& body) {
  const auto owner = std::this_thread::get_id();
  parallel_for((n + grain - 1) / grain, [&](std::size_t chunk, int) {
    const double before = thread_cpu_s();
    body(chunk * grain, std::min(n, (chunk + 1) * grain));
    if (std::this_thread::get_id() != owner)
      worker_ns_ += static_cast<std::int64_t>(1e9 * (thread_cpu_s() - before));
  });
}

}  // namespace ra::index
