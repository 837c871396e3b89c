// SPDX-License-Identifier: Apache-2.0
// Phi-3 and Phi-4-mini without long-context factors (arXiv 2404.14219).
#include "lib/model/arch/registry.h"

namespace ra::model {

// A file with rope_factors_{long,short}.weight has two sets of frequencies and is refused.
extern const Architecture kPhi3;
const Architecture kPhi3{
    .name = "phi3",
    .fused_weights = true,
    .window_period = 1,
};

}  // namespace ra::model
