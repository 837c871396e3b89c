// SPDX-License-Identifier: Apache-2.0
#include "kernels/read_sum.h"

namespace ra::kernels {

ReadSum read_sum_of(Level level) {
  switch (level) {
    case Level::kScalar:
      return read_sum<Level::kScalar>;
    case Level::kAvx2:
      return read_sum<Level::kAvx2>;
    case Level::kAvx512:
    case Level::kAmx:
      return read_sum<Level::kAvx512>;
  }
  return read_sum<Level::kScalar>;
}

}  // namespace ra::kernels
