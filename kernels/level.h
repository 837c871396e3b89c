// SPDX-License-Identifier: Apache-2.0
// Instruction-set levels: detected once, forceable with RA_CPU_LEVEL, named in every result record.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ra::kernels {

// A level is a set of CPU features, all of which are checked:
//   avx2    AVX2, FMA, F16C
//   avx512  avx2 + AVX-512 F/BW/DQ/VL, VNNI, BF16, VBMI
//   amx     avx512 + AMX-TILE, AMX-BF16, AMX-INT8 and the kernel's permission for tile data
enum class Level : std::uint8_t { kScalar, kAvx2, kAvx512, kAmx };

inline constexpr std::array kAllLevels{Level::kScalar, Level::kAvx2, Level::kAvx512, Level::kAmx};

std::string_view level_name(Level level);
std::optional<Level> parse_level(std::string_view name);

// True if this CPU (and, for AMX, the kernel) can run `level`. AMX permission is asked for once.
bool cpu_has(Level level);
Level best_level();

// The level in use: the one forced by set_active_level or RA_CPU_LEVEL, else the best one.
// An unknown or unavailable RA_CPU_LEVEL is reported by active_level_error (programs check it in
// main) and the best level is used.
Level active_level();
void set_active_level(Level level);
std::optional<std::string> active_level_error();

// Comma list of the features found, for records.
std::string cpu_features();

}  // namespace ra::kernels
