// SPDX-License-Identifier: Apache-2.0
// Weight rows on the device, in the blocks of their GGUF format.
#pragma once

#include <cstddef>

#include "kernels/quant.h"

namespace ra::cuda {

struct WeightRows {
  kernels::Quant type = kernels::Quant::kF32;
  const std::byte* data =
      nullptr;  // [rows, cols] rows row_bytes apart, as aligned as in a file (32)
  std::size_t rows = 0, cols = 0, row_bytes = 0;
};

}  // namespace ra::cuda
