// SPDX-License-Identifier: Apache-2.0
// The kernels of one instruction-set level as a table of functions. Callers take the table once,
// above their loops: `const OpTable& k = ops();`. Contracts are on the declarations in the headers
// named beside the fields. A new op is a field here and a line in ops.cc.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/activation.h"
#include "kernels/attend.h"
#include "kernels/codes.h"
#include "kernels/dot.h"
#include "kernels/gemm.h"
#include "kernels/gemm_gated.h"
#include "kernels/gemv.h"
#include "kernels/level.h"
#include "kernels/mass.h"
#include "kernels/mix.h"
#include "kernels/multiply_peak.h"
#include "kernels/norm.h"
#include "kernels/quant.h"
#include "kernels/rope.h"
#include "kernels/score.h"
#include "kernels/select.h"
#include "kernels/topk.h"
#include "kernels/types.h"

namespace ra::kernels {

struct OpTable {
  Level level;
  float (*dot)(const float* a, const float* b, std::size_t n) noexcept;  // dot.h
  float (*dot_bf16)(const float* a, const bf16* b, std::size_t n) noexcept;
  void (*decode_row)(Quant type, const std::byte* src, float* dst,
                     std::size_t n) noexcept;                            // quant.h
  void (*quantize_rows)(const Activations& a, std::byte* out) noexcept;  // gemv.h
  void (*gemv)(const GemvArgs& a) noexcept;
  void (*gemv_f32)(const GemvArgs& a) noexcept;
  void (*rms_norm)(const RmsNormArgs& a) noexcept;                       // norm.h
  void (*rope)(const RopeArgs& a) noexcept;                              // rope.h
  void (*swiglu)(const float* up, float* gate, std::size_t n) noexcept;  // activation.h
  void (*geglu)(const float* up, float* gate, std::size_t n) noexcept;
  void (*score)(const ScoreArgs& a) noexcept;       // score.h
  std::size_t (*topk)(const TopkArgs& a) noexcept;  // topk.h
  void (*score_codes)(const CodeArgs& a) noexcept;  // codes.h
  std::size_t (*codes_at_least)(const CodeArgs& a, const float* floors,
                                std::uint32_t* rows) noexcept;  // codes.h
  float (*encode_query)(const float* y, std::size_t n, std::int8_t* out) noexcept;
  void (*log_mass)(const MassArgs& a, float* out) noexcept;  // mass.h
  void (*mass_below)(const BelowArgs& a, float* out) noexcept;
  void (*mix_rows)(const MixArgs& a) noexcept;  // mix.h
  void (*sum_ranges)(const RangeArgs& a) noexcept;
  float (*kth_largest)(const float* scores, std::size_t n, std::size_t m,
                       float* scratch) noexcept;  // select.h
  std::size_t (*at_least)(const float* scores, std::size_t n, float floor, std::size_t most,
                          std::uint32_t* out) noexcept;
  std::size_t (*largest)(const float* scores, std::size_t n, std::size_t m, float* floor,
                         float* scratch, std::uint32_t* out) noexcept;
  std::size_t (*group_at_least)(const GroupScores& a, const float* floors,
                                std::uint32_t* out) noexcept;
  void (*attend_partial)(const PartialArgs&) noexcept;  // attend.h
  void (*attend_causal)(const CausalArgs&) noexcept;
  void (*gemm)(const GemmArgs&) noexcept;  // gemm.h
  // Null: gemm takes the f32 activations as they are.
  void (*gemm_pack)(const float* x, std::size_t x_stride, std::size_t tokens, std::size_t cols,
                    std::byte* packed) noexcept;
  // Null: the products one by one, then the activation.
  void (*gemm_gated)(const GatedArgs&) noexcept;                         // gemm_gated.h
  double (*multiply_peak)(std::size_t rounds, bool exact_f32) noexcept;  // multiply_peak.h
};

// The table of active_level(); it changes when set_active_level is called.
const OpTable& ops();
// The table of any level, also of one that this CPU cannot run.
const OpTable& table_for(Level level);

}  // namespace ra::kernels
