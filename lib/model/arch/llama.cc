// SPDX-License-Identifier: Apache-2.0
// Llama and what shares its graph (SmolLM, Mistral with or without its window, TinyLlama, ...).
#include "lib/model/arch/registry.h"

namespace ra::model {

// The GGUF converter permutes the rows of Q and K from the `half` order of the published weights,
// so the file's pairs lie side by side.
extern const Architecture kLlama;
const Architecture kLlama{
    .name = "llama",
    .rope_style = RopeStyle::kInterleaved,
    .window_period = 1,
};

}  // namespace ra::model
