// SPDX-License-Identifier: Apache-2.0
#include "kernels/ops.h"

#include <array>

namespace ra::kernels {
namespace {

template <Level L>
constexpr auto packer() -> decltype(OpTable::gemm_pack) {
  if constexpr (L == Level::kAvx512) {
    return gemm_pack<L>;
  } else {
    return nullptr;
  }
}

template <Level L>
constexpr auto gated() -> decltype(OpTable::gemm_gated) {
  if constexpr (L == Level::kAvx512 || L == Level::kAmx) {
    return gemm_gated<L>;
  } else {
    return nullptr;
  }
}

// Level amx has its own matrix ops and the vector ops of avx512.
template <Level Vector, Level Matrix = Vector>
constexpr OpTable make_table() {
  return {
      .level = Matrix,
      .dot = dot<Vector>,
      .dot_bf16 = dot_bf16<Vector>,
      .decode_row = decode_row<Vector>,
      .quantize_rows = quantize_rows<Vector>,
      .gemv = gemv<Vector>,
      .gemv_f32 = gemv_f32<Vector>,
      .rms_norm = rms_norm<Vector>,
      .rope = rope<Vector>,
      .swiglu = swiglu<Vector>,
      .geglu = geglu<Vector>,
      .score = score<Matrix>,
      .topk = topk<Vector>,
      .score_codes = score_codes<Matrix>,
      .codes_at_least = codes_at_least<Matrix>,
      .encode_query = encode_query<Vector>,
      .log_mass = log_mass<Vector>,
      .mass_below = mass_below<Vector>,
      .mix_rows = mix_rows<Vector>,
      .sum_ranges = sum_ranges<Vector>,
      .kth_largest = kth_largest<Vector>,
      .at_least = at_least<Vector>,
      .largest = largest<Vector>,
      .group_at_least = group_at_least<Vector>,
      .attend_partial = attend_partial<Vector>,
      .attend_causal = attend_causal<Matrix>,
      .gemm = gemm<Matrix>,
      .gemm_pack = packer<Vector>(),
      .gemm_gated = gated<Matrix>(),
      .multiply_peak = multiply_peak<Matrix>,
  };
}

constexpr std::array kTables{
    make_table<Level::kScalar>(),
    make_table<Level::kAvx2>(),
    make_table<Level::kAvx512>(),
    make_table<Level::kAvx512, Level::kAmx>(),
};
static_assert(kTables.size() == kAllLevels.size());

}  // namespace

const OpTable& table_for(Level level) { return kTables[static_cast<std::size_t>(level)]; }

const OpTable& ops() { return table_for(active_level()); }

}  // namespace ra::kernels
