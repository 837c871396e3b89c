// SPDX-License-Identifier: Apache-2.0
// What every vocabulary must hold to, whatever merges its tokens.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "lib/tokenizer/tokenizer.h"

namespace ra::tokenizer {

// Throws Error{kBadData} naming tokenizer.ggml.`key`.
[[noreturn]] void bad_vocabulary(std::string key, std::string why, std::string hint = "");

// Lengths of the arrays, token types and special ids.
void check_vocabulary(const Vocab& vocab);

// Throws Error{kBadData} for an id outside the vocabulary.
void check_id(const Vocab& vocab, std::int32_t id);

// "<0xHH>" -> that byte; anything else is an error naming the token.
std::string byte_token(std::string_view spelling, std::size_t id);

}  // namespace ra::tokenizer
