// SPDX-License-Identifier: Apache-2.0
#include "kernels/gemm.h"

#include <algorithm>

#include "kernels/cpu/gemm_panel.h"
#include "kernels/gemm_gated.h"

namespace ra::kernels {

std::size_t gemm_scratch_bytes(std::size_t cols) {
  // The scalar level decodes one whole row.
  return std::max(gemm_panel::kScratchBytes, gemm_panel::round_up(cols * sizeof(float), 64));
}

std::size_t gated_scratch_bytes(std::size_t tokens, std::size_t cols) {
  namespace gated = gemm_panel::gated;
  if (cols <= gemm_panel::kPanelCols) return gated::kParkedAt;
  return gated::kParkedAt + gemm_panel::round_up(tokens, kGemmTokens) * gated::kParkedBytesPerToken;
}

std::size_t gemm_packed_bytes(std::size_t tokens, std::size_t cols) {
  return gemm_panel::round_up(tokens, kGemmTokens) * gemm_panel::round_up(cols, 32) * 2;
}

}  // namespace ra::kernels
