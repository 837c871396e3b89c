// SPDX-License-Identifier: Apache-2.0
// Qwen3, dense (arXiv 2505.09388).
#include "lib/model/arch/registry.h"

namespace ra::model {

extern const Architecture kQwen3;
const Architecture kQwen3{
    .name = "qwen3",
    .qk_norm = true,
};

}  // namespace ra::model
