// SPDX-License-Identifier: Apache-2.0
// The one thread pool: OpenMP (shared with FAISS and OpenBLAS), or std::thread for TSan builds.
#pragma once

#include <cstddef>
#include <functional>

namespace ra {

// Physical cores inside the cgroup CPU quota and the affinity mask; at least 1.
int default_threads();

// Sets the pool size once, before any parallel work. 0 = default_threads(). Nesting stays off.
void set_threads(int n);
int threads();

// Runs body(i, thread) for i in [0, n), thread in [0, threads()), and waits. Items are handed out
// one by one (dynamic); the result must not depend on which thread runs an item. Inside another
// parallel_for it runs serially with thread 0 of a nested region, so per-thread scratch must not be
// shared between nesting levels. The first exception thrown by a body is rethrown here.
void parallel_for(std::size_t n, const std::function<void(std::size_t i, int thread)>& body);

}  // namespace ra
