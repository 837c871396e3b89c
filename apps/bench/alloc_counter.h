// SPDX-License-Identifier: Apache-2.0
// Counts the heap allocations of this program: a deterministic sign of work added to a hot loop.
#pragma once

#include <cstdint>

namespace ra::bench_app {

// Calls of operator new since the program started, all threads.
std::int64_t allocations();

}  // namespace ra::bench_app
