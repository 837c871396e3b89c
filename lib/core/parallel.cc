// SPDX-License-Identifier: Apache-2.0
#include "lib/core/parallel.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <fstream>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#ifdef RA_OPENMP
#include <omp.h>
#endif

namespace ra {
namespace {

std::atomic<int> pool_size{0};
thread_local bool inside_pool = false;

// CPU quota of cgroup v2 or v1, rounded up; a large number if there is none.
int cgroup_cpus() {
  std::string quota;
  double period = 0;
  if (std::ifstream v2("/sys/fs/cgroup/cpu.max"); v2 >> quota >> period) {
    if (quota == "max" || period <= 0) return 1 << 20;
    return static_cast<int>((std::stod(quota) + period - 1) / period);
  }
  double v1_quota = -1;
  std::ifstream q("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"), p("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
  if (q >> v1_quota && p >> period && v1_quota > 0 && period > 0)
    return static_cast<int>((v1_quota + period - 1) / period);
  return 1 << 20;
}

// Distinct cores among the CPUs of the affinity mask: hyper-thread siblings count once.
int affinity_cores() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  if (sched_getaffinity(0, sizeof mask, &mask) != 0)
    return static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  std::vector<std::string> cores;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &mask)) continue;
    const std::string dir = "/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/";
    std::string siblings;
    if (!(std::ifstream(dir + "thread_siblings_list") >> siblings)) siblings = std::to_string(cpu);
    if (std::find(cores.begin(), cores.end(), siblings) == cores.end()) cores.push_back(siblings);
  }
  return std::max<int>(1, static_cast<int>(cores.size()));
}

class FirstError {
 public:
  void capture() {
    const std::lock_guard lock(mutex_);
    if (!error_) error_ = std::current_exception();
  }
  void rethrow() const {
    if (error_) std::rethrow_exception(error_);
  }

 private:
  std::mutex mutex_;
  std::exception_ptr error_;
};

void work(std::size_t n, std::atomic<std::size_t>& next, int thread, FirstError& error,
          const std::function<void(std::size_t, int)>& body) {
  inside_pool = true;
  for (std::size_t i = next++; i < n; i = next++) {
    try {
      body(i, thread);
    } catch (...) {
      error.capture();
      next = n;
    }
  }
  inside_pool = false;
}

}  // namespace

int default_threads() { return std::max(1, std::min(cgroup_cpus(), affinity_cores())); }

void set_threads(int n) {
  pool_size = n > 0 ? n : default_threads();
#ifdef RA_OPENMP
  omp_set_num_threads(pool_size);
  omp_set_max_active_levels(1);
#endif
}

int threads() {
  if (pool_size == 0) set_threads(0);
  return pool_size;
}

void parallel_for(std::size_t n, const std::function<void(std::size_t, int)>& body) {
  if (n == 0) return;
  const int workers =
      static_cast<int>(std::min<std::size_t>(n, static_cast<std::size_t>(threads())));
  if (workers == 1 || inside_pool) {
    for (std::size_t i = 0; i < n; ++i) body(i, 0);
    return;
  }
  std::atomic<std::size_t> next{0};
  FirstError error;
#ifdef RA_OPENMP
#pragma omp parallel num_threads(workers)
  work(n, next, omp_get_thread_num(), error, body);
#else
  std::vector<std::jthread> pool;
  for (int t = 1; t < workers; ++t) pool.emplace_back([&, t] { work(n, next, t, error, body); });
  work(n, next, 0, error, body);
  pool.clear();
#endif
  error.rethrow();
}

}  // namespace ra
