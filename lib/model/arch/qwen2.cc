// SPDX-License-Identifier: Apache-2.0
// Qwen2 and Qwen2.5, Coder included.
#include "lib/model/arch/registry.h"

namespace ra::model {

extern const Architecture kQwen2;
const Architecture kQwen2{
    .name = "qwen2",
    .qkv_bias = true,
};

}  // namespace ra::model
