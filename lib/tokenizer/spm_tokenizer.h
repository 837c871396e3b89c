// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "lib/tokenizer/tokenizer.h"

namespace ra::tokenizer {

// The tokenizer of a SentencePiece vocabulary (tokenizer.ggml.model "llama"). Throws as
// Tokenizer::create does, also if a character could be without a token: there must be all 256 byte
// tokens or an unknown one.
std::unique_ptr<Tokenizer> make_spm_tokenizer(Vocab vocab);

}  // namespace ra::tokenizer
