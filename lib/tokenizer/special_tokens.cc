// SPDX-License-Identifier: Apache-2.0
#include "lib/tokenizer/special_tokens.h"

namespace ra::tokenizer {
namespace {

std::uint64_t edge(std::uint32_t node, char byte) {
  return std::uint64_t{node} << 8 | static_cast<unsigned char>(byte);
}

}  // namespace

void SpecialTokens::add(std::string_view spelling, std::int32_t id) {
  if (spelling.empty()) return;
  std::uint32_t node = 0;
  for (const char byte : spelling) {
    const auto fresh = static_cast<std::uint32_t>(next_.size() + 1);  // one node per edge
    node = next_.try_emplace(edge(node, byte), fresh).first->second;
  }
  ids_.try_emplace(node, id);
  first_bytes_[static_cast<unsigned char>(spelling.front())] = true;
}

std::uint32_t SpecialTokens::step(std::uint32_t node, char byte) const {
  const auto it = next_.find(edge(node, byte));
  return it == next_.end() ? 0 : it->second;
}

SpecialTokens::Match SpecialTokens::find(std::string_view text, std::size_t from) const {
  for (std::size_t begin = from; begin < text.size(); ++begin) {
    if (!first_bytes_[static_cast<unsigned char>(text[begin])]) continue;
    Match best{begin, begin, -1};
    std::uint32_t node = 0;
    for (std::size_t i = begin; i < text.size() && (node = step(node, text[i])) != 0; ++i)
      if (const auto it = ids_.find(node); it != ids_.end()) best = {begin, i + 1, it->second};
    if (best.end > begin) return best;
  }
  return {text.size(), text.size(), -1};
}

}  // namespace ra::tokenizer
