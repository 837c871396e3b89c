// SPDX-License-Identifier: Apache-2.0
// Character classes exactly as the Hugging Face tokenizers see them, whose parts use different
// Unicode versions; make_unicode_tables.py reads them out of PyPI `tokenizers`. Ascending,
// disjoint.
#pragma once

#include <span>

namespace ra::tokenizer {

struct CodePointRange {
  char32_t first, last;  // closed
};

std::span<const CodePointRange> unicode_letters();       // \p{L} of Oniguruma 6.9.10
std::span<const CodePointRange> unicode_numbers();       // \p{N} of Oniguruma 6.9.10
std::span<const CodePointRange> unicode_later_digits();  // numeric for Rust, not in \p{N} above
// What the NFC of `tokenizers` (Unicode 9) may change or move. Every code point that a later
// Unicode version gave a combining class or a composition is outside.
std::span<const CodePointRange> unicode_normalized();

}  // namespace ra::tokenizer
