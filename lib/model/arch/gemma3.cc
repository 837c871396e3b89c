// SPDX-License-Identifier: Apache-2.0
// Gemma 3, the text part (arXiv 2503.19786).
#include "lib/model/arch/registry.h"

namespace ra::model {

// Every sixth layer sees all keys, the others a window, with the RoPE base of Gemma 2. The file's
// norm weights include the + 1 of the published ones. The 27B model, of 62 layers, scales scores by
// 1 / sqrt(width / heads), which is not its head dimension.
extern const Architecture kGemma3;
const Architecture kGemma3{
    .name = "gemma3",
    .qk_norm = true,
    .post_norm = true,
    .activation = Activation::kGelu,
    .scaled_embedding = true,
    .window_period = 6,
    .window_rope_base = 10000,
    .width_scaled_layers = 62,
};

}  // namespace ra::model
