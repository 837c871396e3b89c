// SPDX-License-Identifier: Apache-2.0
#include "kernels/level.h"

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>

namespace ra::kernels {
namespace {

constexpr std::array<std::string_view, 4> kNames{"scalar", "avx2", "avx512", "amx"};

struct Features {
  bool avx2 = false, fma = false, f16c = false;
  bool avx512f = false, avx512bw = false, avx512dq = false, avx512vl = false;
  bool avx512_vnni = false, avx512_bf16 = false, avx512_vbmi = false;
  bool amx_tile = false, amx_bf16 = false, amx_int8 = false;
};

std::uint64_t read_xcr0() {
  std::uint32_t lo = 0, hi = 0;
  __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
  return (static_cast<std::uint64_t>(hi) << 32) | lo;
}

constexpr bool bit(unsigned reg, unsigned n) { return ((reg >> n) & 1u) != 0; }

// A feature counts only if the operating system also saves its registers (XCR0).
Features detect() {
  Features f;
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0 || !bit(c, 27)) return f;  // 27: OSXSAVE
  const std::uint64_t xcr0 = read_xcr0();
  const bool os_avx = (xcr0 & 0x6u) == 0x6u;
  const bool os_avx512 = os_avx && (xcr0 & 0xe0u) == 0xe0u;
  const bool os_amx = (xcr0 & 0x60000u) == 0x60000u;
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
  f.amx_bf16 = os_amx && bit(d, 22);
  f.amx_tile = os_amx && bit(d, 24);
  f.amx_int8 = os_amx && bit(d, 25);
  if (__get_cpuid_count(7, 1, &a, &b, &c, &d) != 0) f.avx512_bf16 = os_avx512 && bit(a, 5);
  return f;
}

const Features& features() {
  static const Features f = detect();
  return f;
}

// Linux hands out the 8 KiB of tile state only to processes that ask (since 5.16).
bool request_amx_permission() {
  constexpr long kArchReqXcompPerm = 0x1023, kXfeatureXtiledata = 18;
  return syscall(SYS_arch_prctl, kArchReqXcompPerm, kXfeatureXtiledata) == 0;
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
      if (!f.amx_tile || !f.amx_bf16 || !f.amx_int8) return false;
      static const bool allowed = request_amx_permission();
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
  add(f.amx_tile, "amx_tile");
  add(f.amx_bf16, "amx_bf16");
  add(f.amx_int8, "amx_int8");
  return out;
}

}  // namespace ra::kernels
