// SPDX-License-Identifier: Apache-2.0
// The byte-level alphabet of GPT-2: each byte is spelled as one printable code point, so that a
// vocabulary file is text. Printable Latin-1 bytes spell themselves; the other 68 take U+0100 on.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace ra::tokenizer {

// UTF-8 spelling of any bytes.
std::string spell_bytes(std::string_view bytes);

// The bytes a spelling stands for, or nothing if it is not written in the alphabet.
std::optional<std::string> read_spelling(std::string_view spelling);

}  // namespace ra::tokenizer
