// SPDX-License-Identifier: Apache-2.0
// What a run on a real model starts from: the weights, and the text as token ids.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "apps/bench/options.h"
#include "lib/gguf/reader.h"
#include "lib/model/decoder.h"

namespace ra::bench_app {

struct ModelInput {
  std::unique_ptr<gguf::File> file;
  model::Model model;
  std::vector<std::int32_t> ids;
  std::string sha256;  // of the token ids' source
};

// `longest` positions will be filled, with `tokens` of the text needed for it. Throws Error: usage
// without a text, 65 for a text or a model's context that is shorter, and as the readers of both.
ModelInput read_model_input(const ModelOptions& o, const cli::CommonOptions& common,
                            std::int64_t longest, std::int64_t tokens);

model::KvType kv_type(const ModelOptions& o);

}  // namespace ra::bench_app
