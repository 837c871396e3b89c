// SPDX-License-Identifier: Apache-2.0
// Unicode normalisation form C as the Hugging Face tokenizers apply it.
#pragma once

#include <string>
#include <string_view>

namespace ra::tokenizer {

// `text` is valid UTF-8. O(n log n) in the longest run of combining marks, otherwise linear.
// `tokenizers` carries the tables of Unicode 9: a code point that only a later version gave a
// combining class or a composition is left as it is.
std::string nfc(std::string_view text);

}  // namespace ra::tokenizer
