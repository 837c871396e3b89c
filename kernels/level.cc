// SPDX-License-Identifier: Apache-2.0
#include "kernels/level.h"

#include <cpuid.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>

#include "kernels/amx_support.h"
#include "kernels/saved_registers.h"

namespace ra::kernels {
namespace {

constexpr std::array<std::string_view, 4> kNames{"scalar", "avx2", "avx512", "amx"};

struct Features {
  bool avx2 = false, fma = false, f16c = false;
  bool avx512f = false, avx512bw = false, avx512dq = false, avx512vl = false;
  bool avx512_vnni = false, avx512_bf16 = false, avx512_vbmi = false;
  AmxSupport amx;
};

constexpr bool bit(unsigned reg, unsigned n) { return ((reg >> n) & 1u) != 0; }

Features detect() {
  Features f;
  unsigned a = 0, b = 0, c = 0, d = 0;
  const std::uint64_t xcr0 = saved_registers();
  if (__get_cpuid(1, &a, &b, &c, &d) == 0) return f;
  const bool os_avx = (xcr0 & 0x6u) == 0x6u;
  const bool os_avx512 = os_avx && (xcr0 & 0xe0u) == 0xe0u;
  f.fma = os_avx && bit(c, 12);
  f.f16c = os_avx && bit(c, 29);
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return f;
  f.avx2 = os_avx && bit(b, 5);
  f.avx512f = os_avx512 && bit(b, 16);
  f.avx512dq = os_avx512 && bit(b, 17);
  f.avx512bw = os_avx512 && bit(b, 30);
  f.avx512vl = os_avx512 && bit(b, 31);
  f.avx512_vbmi = os_avx512 && bit(c, 1);
  f.avx512_vnni = os_avx512 && bit(c, 11);
  if (__get_cpuid_count(7, 1, &a, &b, &c, &d) != 0) f.avx512_bf16 = os_avx512 && bit(a, 5);
  f.amx = amx_support();
  return f;
}

const Features& features() {
  static const Features f = detect();
  return f;
}

std::atomic<int> forced_level{-1};

struct FromEnvironment {
  std::optional<Level> level;
  std::optional<std::string> error;
};

const FromEnvironment& environment() {
  static const FromEnvironment env = [] {
    FromEnvironment e;
    const char* text = std::getenv("RA_CPU_LEVEL");
    if (text == nullptr || *text == '\0') return e;
    const auto level = parse_level(text);
    if (!level) {
      e.error = "RA_CPU_LEVEL=" + std::string(text) + " is none of scalar, avx2, avx512, amx";
    } else if (!cpu_has(*level)) {
      e.error = "RA_CPU_LEVEL=" + std::string(text) +
                " is not available on this CPU (best: " + std::string(level_name(best_level())) +
                ")";
    } else {
      e.level = level;
    }
    return e;
  }();
  return env;
}

}  // namespace

std::string_view level_name(Level level) { return kNames[static_cast<std::size_t>(level)]; }

std::optional<Level> parse_level(std::string_view name) {
  const auto it = std::find(kNames.begin(), kNames.end(), name);
  if (it == kNames.end()) return std::nullopt;
  return static_cast<Level>(it - kNames.begin());
}

bool cpu_has(Level level) {
  const Features& f = features();
  switch (level) {
    case Level::kScalar:
      return true;
    case Level::kAvx2:
      return f.avx2 && f.fma && f.f16c;
    case Level::kAvx512:
      return cpu_has(Level::kAvx2) && f.avx512f && f.avx512bw && f.avx512dq && f.avx512vl &&
             f.avx512_vnni && f.avx512_bf16 && f.avx512_vbmi;
    case Level::kAmx: {
      if (!cpu_has(Level::kAvx512)) return false;
      if (!f.amx.all()) return false;
      static const bool allowed = request_tiles();
      return allowed;
    }
  }
  return false;
}

Level best_level() {
  static const Level best = [] {
    Level level = Level::kScalar;
    for (const Level candidate : kAllLevels)
      if (cpu_has(candidate)) level = candidate;
    return level;
  }();
  return best;
}

Level active_level() {
  const int forced = forced_level.load(std::memory_order_relaxed);
  if (forced >= 0) return static_cast<Level>(forced);
  return environment().level.value_or(best_level());
}

void set_active_level(Level level) { forced_level.store(static_cast<int>(level)); }

std::optional<std::string> active_level_error() { return environment().error; }

std::string cpu_features() {
  const Features& f = features();
  std::string out;
  const auto add = [&](bool present, std::string_view name) {
    if (!present) return;
    if (!out.empty()) out += ',';
    out += name;
  };
  add(f.avx2, "avx2");
  add(f.fma, "fma");
  add(f.f16c, "f16c");
  add(f.avx512f, "avx512f");
  add(f.avx512bw, "avx512bw");
  add(f.avx512dq, "avx512dq");
  add(f.avx512vl, "avx512vl");
  add(f.avx512_vnni, "avx512_vnni");
  add(f.avx512_bf16, "avx512_bf16");
  add(f.avx512_vbmi, "avx512_vbmi");
  add(f.amx.tile, "amx_tile");
  add(f.amx.bf16, "amx_bf16");
  add(f.amx.int8, "amx_int8");
  return out;
}

}  // namespace ra::kernels
