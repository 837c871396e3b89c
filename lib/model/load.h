// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "lib/gguf/reader.h"
#include "lib/model/decoder.h"
#include "lib/tokenizer/tokenizer.h"

namespace ra::model {

struct LoadOptions {
  // Replaces the file's, rope_freqs.weight included. A bad factor is Error{kUsage}.
  std::optional<RopeScaling> rope_scaling;
};

// Checks metadata and tensor shapes against the graph of the architecture (arch/registry.h).
// Throws Error{kBadData} naming key or tensor; an unsupported architecture is refused by name with
// the supported ones as a hint, and so is a tensor that the graph does not use.
Model load(const gguf::File& file, const LoadOptions& options = {});

// The keys tokenizer.ggml.*; lengths and special ids are checked, merges by the tokenizer.
tokenizer::Vocab load_vocab(const gguf::File& file);

}  // namespace ra::model
