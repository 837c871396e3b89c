// SPDX-License-Identifier: Apache-2.0
// Blocking of the GEMM, shared by its levels and by gemm_scratch_bytes.
//
// A panel is kPanelRows weight rows by kPanelCols columns: 512 KiB as bf16 or (half the rows) as
// f32, a quarter of a second-level cache of 2 MiB, streamed once per block of activation rows. More
// columns than kPanelCols are taken in turns, with the sums parked in y between them.
#pragma once

#include <cstddef>

#include "kernels/quant.h"
#include "kernels/types.h"

namespace ra::kernels::gemm_panel {

inline constexpr std::size_t kPanelCols = 1024;  // a multiple of every quant block and tile depth
inline constexpr std::size_t kPanelBytes = std::size_t{512} << 10;
inline constexpr std::size_t kRowsBf16 = kPanelBytes / kPanelCols / 2;
inline constexpr std::size_t kRowsF32 = kPanelBytes / kPanelCols / 4;
inline constexpr std::size_t kStripRows = 16;  // rows decoded to f32 before they are packed
inline constexpr std::size_t kSumsBytes = 32 * 32 * sizeof(float);  // an edge tile of y

// scratch = panel | strip of decoded rows | edge tile
inline constexpr std::size_t kStripAt = kPanelBytes;
inline constexpr std::size_t kSumsAt = kStripAt + kStripRows * kPanelCols * sizeof(float);
inline constexpr std::size_t kScratchBytes = kSumsAt + kSumsBytes;

// gemm_gated: a panel of gate rows and one of up rows share kPanelBytes. What columns beyond the
// first kPanelCols have to add to is parked, for all tokens.
namespace gated {
inline constexpr std::size_t kRows = kRowsBf16 / 2;
inline constexpr std::size_t kPanelBytes = gemm_panel::kPanelBytes / 2;
inline constexpr std::size_t kStripAt = gemm_panel::kStripAt, kSumsAt = gemm_panel::kSumsAt;
inline constexpr std::size_t kParkedAt = kSumsAt + 2 * kSumsBytes;
inline constexpr std::size_t kParkedBytesPerToken = 2 * kRows * sizeof(float);
}  // namespace gated

RA_ALWAYS_INLINE std::size_t smaller(std::size_t a, std::size_t b) { return a < b ? a : b; }
RA_ALWAYS_INLINE std::size_t round_up(std::size_t n, std::size_t to) {
  return (n + to - 1) / to * to;
}

}  // namespace ra::kernels::gemm_panel
