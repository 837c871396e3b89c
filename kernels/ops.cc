// SPDX-License-Identifier: Apache-2.0
#include "kernels/ops.h"

#include <array>

namespace ra::kernels {
namespace {

// Level amx has its own matrix ops and the vector ops of avx512.
template <Level Vector, Level Matrix = Vector>
constexpr OpTable make_table() {
  return {
      .level = Matrix,
      .dot = dot<Vector>,
      .dot_bf16 = dot_bf16<Vector>,
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
