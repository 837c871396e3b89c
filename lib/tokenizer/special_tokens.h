// SPDX-License-Identifier: Apache-2.0
// Finds the spellings of whole tokens in text: at each place the longest one, leftmost first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <unordered_map>

namespace ra::tokenizer {

class SpecialTokens {
 public:
  struct Match {
    std::size_t begin, end;  // bytes of the text; begin == end: there is none
    std::int32_t id;
  };

  // The first token keeps a spelling given twice. Empty spellings are never found.
  void add(std::string_view spelling, std::int32_t id);
  // First match at or behind `from`. Cost per place: the longest spelling, whatever their number.
  Match find(std::string_view text, std::size_t from) const;
  bool empty() const { return next_.empty(); }

 private:
  std::uint32_t step(std::uint32_t node, char byte) const;  // 0 = none; the root is never a target

  std::unordered_map<std::uint64_t, std::uint32_t> next_;  // trie: node << 8 | byte -> node
  std::unordered_map<std::uint32_t, std::int32_t> ids_;    // node -> token that ends there
  bool first_bytes_[256] = {};
};

}  // namespace ra::tokenizer
