// SPDX-License-Identifier: Apache-2.0
#include "lib/core/provenance.h"

#include <fmt/chrono.h>
#include <fmt/core.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cstdlib>
#include <ctime>
#include <fstream>
#include <map>
#include <string>

#include "kernels/level.h"
#include "lib/core/build_config.h"
#include "lib/core/parallel.h"

namespace ra {
namespace {

std::map<std::string, std::string, std::less<>>& libraries() {
  static std::map<std::string, std::string, std::less<>> libs{
      {"fmt",
       fmt::format("{}.{}.{}", FMT_VERSION / 10000, FMT_VERSION / 100 % 100, FMT_VERSION % 100)},
      {"nlohmann_json", RA_JSON_VERSION},
  };
  return libs;
}

std::string& gpu() {
  static std::string name;
  return name;
}

// Value of the first "key : value" line of /proc/cpuinfo or /proc/meminfo.
std::string proc_value(const char* file, std::string_view key) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with(key)) continue;
    const std::size_t colon = line.find(':');
    const std::size_t begin = line.find_first_not_of(" \t", colon + 1);
    return begin == std::string::npos ? "" : line.substr(begin);
  }
  return "";
}

std::string first_word(const char* file) {
  std::string word;
  std::ifstream(file) >> word;
  return word;
}

}  // namespace

std::string_view tool_version() { return RA_VERSION; }
std::string_view git_commit() { return RA_GIT_COMMIT; }

std::string now_utc() {
  std::time_t t = std::time(nullptr);
  if (const char* epoch = std::getenv("SOURCE_DATE_EPOCH"); epoch != nullptr && *epoch != '\0')
    t = static_cast<std::time_t>(std::strtoll(epoch, nullptr, 10));
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(t));
}

void note_library(std::string_view name, std::string_view version) {
  libraries()[std::string(name)] = version;
}

void note_gpu(std::string_view name) { gpu() = name; }

Json provenance() {
  utsname os{};
  uname(&os);
  const std::string governor = first_word("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
  double load = 0;
  std::ifstream("/proc/loadavg") >> load;
  Json p;
  p["git_commit"] = git_commit();
  p["git_dirty"] = RA_GIT_DIRTY != 0;
  p["compiler"] = RA_COMPILER;
  p["cxx_flags"] = RA_CXX_FLAGS;
  p["build_type"] = RA_BUILD_TYPE;
  p["cpu"] = proc_value("/proc/cpuinfo", "model name");
  p["cores"] = sysconf(_SC_NPROCESSORS_ONLN);
  p["isa"] = kernels::level_name(kernels::active_level());
  p["isa_features"] = kernels::cpu_features();
  p["threads"] = threads();
  p["os"] = fmt::format("{} {}", os.sysname, os.release);
  p["memory_bytes"] =
      std::strtoll(proc_value("/proc/meminfo", "MemTotal").c_str(), nullptr, 10) * 1024;
  p["cgroup_cpus"] = default_threads();
  p["governor"] = governor.empty() ? Json(nullptr) : Json(governor);
  p["load_1m"] = load;
  p["libs"] = Json::object();
  for (const auto& [name, version] : libraries()) p["libs"][name] = version;
  p["gpu"] = gpu().empty() ? Json(nullptr) : Json(gpu());
  p["ftz_daz"] = false;
  return p;
}

Json build_info() {
  Json p = provenance();
  Json out;
  out["version"] = tool_version();
  for (const auto& [key, value] : p.items()) out[key] = value;
  Json levels = Json::array();
  for (const auto level : kernels::kAllLevels) levels.push_back(kernels::level_name(level));
  out["isa_compiled"] = levels;
  out["isa_best"] = kernels::level_name(kernels::best_level());
  out["cuda"] = *RA_CUDA_VERSION != '\0' ? Json(RA_CUDA_VERSION) : Json(nullptr);
  out["page_size"] = sysconf(_SC_PAGESIZE);
  return out;
}

}  // namespace ra
