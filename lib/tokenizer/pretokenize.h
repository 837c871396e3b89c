// SPDX-License-Identifier: Apache-2.0
// Cuts text into the pieces inside which BPE merges. Each rule is the published regular expression
// of its model family, written out as a scanner: linear time, no stack, and the character classes
// of the Hugging Face tokenizers whatever regex library is installed.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace ra::tokenizer {

struct PreRule {
  std::string_view name;  // value of tokenizer.ggml.pre
  // First byte behind the piece that starts at text[begin]; begin < text.size(), valid UTF-8.
  std::size_t (*piece_end)(std::string_view text, std::size_t begin);
  bool nfc = false;           // text is brought to NFC first
  bool whole_pieces = false;  // a piece that is a token is taken whole, without merging
};

std::span<const PreRule> pre_rules();
const PreRule* find_pre_rule(std::string_view name);  // nullptr if unknown

}  // namespace ra::tokenizer
