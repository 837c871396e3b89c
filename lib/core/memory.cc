// SPDX-License-Identifier: Apache-2.0
#include "lib/core/memory.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <optional>

#include "lib/core/error.h"
#include "lib/core/params.h"

namespace ra {
namespace fs = std::filesystem;
namespace {

// The number in a one-line file; nothing if absent or "max".
std::optional<std::uint64_t> number_in(const fs::path& file) {
  std::string word;
  std::ifstream(file) >> word;
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc{} || end != word.data() + word.size()) return std::nullopt;
  return value;
}

// Least limit of a group and of its parents up to the mount point.
std::uint64_t group_limit(const fs::path& mount, fs::path group, const char* file) {
  std::uint64_t limit = UINT64_MAX;
  for (group = group.relative_path();; group = group.parent_path()) {
    if (const auto bytes = number_in(mount / group / file)) limit = std::min(limit, *bytes);
    if (group.empty()) return limit;
  }
}

std::uint64_t cgroup_limit(const MemorySources& sources) {
  std::uint64_t limit = UINT64_MAX;
  std::ifstream in(sources.proc / "self/cgroup");
  for (std::string line; std::getline(in, line);) {  // "ID:CONTROLLERS:PATH"
    const std::size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = fmt::format(",{},", line.substr(first + 1, second - first - 1));
    const fs::path path = line.substr(second + 1);
    if (controllers == ",,")
      limit = std::min(limit, group_limit(sources.cgroup, path, "memory.max"));
    else if (controllers.find(",memory,") != std::string::npos)
      limit =
          std::min(limit, group_limit(sources.cgroup / "memory", path, "memory.limit_in_bytes"));
  }
  return limit;
}

std::uint64_t free_memory(const fs::path& meminfo) {
  std::ifstream in(meminfo);
  std::string key;
  for (std::uint64_t kib = 0; in >> key >> kib; in.ignore(256, '\n'))
    if (key == "MemAvailable:") return kib * 1024;
  return UINT64_MAX;
}

}  // namespace

std::uint64_t available_memory(const MemorySources& sources) {
  return std::min(cgroup_limit(sources), free_memory(sources.proc / "meminfo"));
}

std::uint64_t memory_limit(const std::string& option, const MemorySources& sources) {
  if (!option.empty()) return parse_bytes(option, "--memory-limit");
  return available_memory(sources) / 10 * 9;
}

std::int64_t peak_rss_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return std::int64_t{usage.ru_maxrss} * 1024;
}

std::uint64_t total_bytes(std::span<const MemoryNeed> needs) {
  std::uint64_t sum = 0;
  for (const MemoryNeed& need : needs)
    sum = need.bytes > UINT64_MAX - sum ? UINT64_MAX : sum + need.bytes;
  return sum;
}

void check_memory(std::span<const MemoryNeed> needs, std::uint64_t limit) {
  const std::uint64_t required = total_bytes(needs);
  if (required <= limit) return;
  const auto largest = std::max_element(
      needs.begin(), needs.end(), [](const auto& a, const auto& b) { return a.bytes < b.bytes; });
  fail(Exit::kNoMemory, {.what = "not enough memory",
                         .file = "",
                         .where = "--memory-limit",
                         .why = fmt::format("requires {} bytes ({} of them {}), {} available",
                                            required, largest->bytes, largest->what, limit),
                         .hint = "fewer tokens, or a higher --memory-limit"});
}

}  // namespace ra
