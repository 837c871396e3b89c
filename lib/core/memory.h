// SPDX-License-Identifier: Apache-2.0
// The memory plan: what a run will need is added up before it starts and compared with a limit,
// since a cgroup overrun is SIGKILL, not bad_alloc.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

namespace ra {

// Where the kernel tells; tests point these elsewhere.
struct MemorySources {
  std::filesystem::path proc = "/proc", cgroup = "/sys/fs/cgroup";
};

// min(cgroup v2 memory.max or v1 limit of this process and its parents, MemAvailable), bytes.
std::uint64_t available_memory(const MemorySources& sources = {});

// --memory-limit as given ("4GiB"), or 90 % of available_memory() if empty. Throws Error{kUsage}.
std::uint64_t memory_limit(const std::string& option, const MemorySources& sources = {});

std::int64_t peak_rss_bytes();  // the most this process has had resident so far

struct MemoryNeed {
  std::string what;  // "weights", "KV cache", ...
  std::uint64_t bytes = 0;
};
std::uint64_t total_bytes(std::span<const MemoryNeed> needs);  // saturates at 2^64 - 1

// Throws Error{kNoMemory} with required and available bytes and the largest need if they do not
// fit.
void check_memory(std::span<const MemoryNeed> needs, std::uint64_t limit);

}  // namespace ra
