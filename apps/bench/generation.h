// SPDX-License-Identifier: Apache-2.0
// What a mode writes when it goes on with its own tokens, and where it leaves full attention's
// text.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "apps/bench/model_context.h"
#include "lib/core/json.h"
#include "lib/model/sampler.h"
#include "lib/tokenizer/tokenizer.h"

namespace ra::bench_app {

// At most `tokens` after the prompt of `context` and then `first`; less if one ends the text. The
// i-th is drawn with step i of the sampler's stream, so that modes differ by their logits alone.
std::vector<std::int32_t> generate(ModelContext& context, model::AttentionPolicy& attention,
                                   std::int32_t first, int tokens,
                                   const model::SamplerOptions& sampler, std::int32_t eos);

// The field `generated` of a record: ids, text, how many tokens are those of `full` (as_full), and
// the text from the first that is not (then; null if there is none).
Json generated_json(const std::vector<std::int32_t>& ids, const std::vector<std::int32_t>& full,
                    const tokenizer::Tokenizer& tokenizer);

// What the records of a run hold of it; nothing if `format` is not md.
void print_generated(const std::vector<Json>& records, const std::string& format);

}  // namespace ra::bench_app
