// SPDX-License-Identifier: Apache-2.0
// The kernels of one instruction-set level as a table of functions. Callers take the table once,
// above their loops: `const OpTable& k = ops();`. Contracts are on the declarations in the headers
// named beside the fields. A new op is a field here and a line in ops.cc.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/dot.h"
#include "kernels/level.h"
#include "kernels/types.h"

namespace ra::kernels {

struct OpTable {
  Level level;
  float (*dot)(const float* a, const float* b, std::size_t n) noexcept;  // dot.h
  float (*dot_bf16)(const float* a, const bf16* b, std::size_t n) noexcept;
};

// The table of active_level(); it changes when set_active_level is called.
const OpTable& ops();
// The table of any level, also of one that this CPU cannot run.
const OpTable& table_for(Level level);

}  // namespace ra::kernels
