// SPDX-License-Identifier: Apache-2.0
#include "lib/tokenizer/bpe.h"

#include <algorithm>
#include <bit>

#include "lib/core/error.h"
#include "lib/tokenizer/byte_alphabet.h"

namespace ra::tokenizer {
namespace {

// Also packs rank and position: both are two numbers >= 0 that compare in this order.
std::uint64_t pair_key(std::int32_t left, std::int32_t right) {
  return static_cast<std::uint64_t>(left) << 32 | static_cast<std::uint32_t>(right);
}

constexpr auto kLater = [](const auto& a, const auto& b) { return a.order > b.order; };

}  // namespace

Bpe::Bpe(std::span<const std::string> tokens, std::span<const std::string> merges) {
  ids_.reserve(tokens.size());
  for (std::size_t id = 0; id < tokens.size(); ++id)
    if (!tokens[id].empty()) ids_.try_emplace(tokens[id], static_cast<std::int32_t>(id));
  for (int b = 0; b < 256; ++b) {
    const char byte = static_cast<char>(b);
    byte_ids_[b] = find({&byte, 1});
  }
  merges_.resize(std::bit_ceil(2 * merges.size() + 1));
  for (std::size_t rank = 0; rank < merges.size(); ++rank) {
    const std::string_view line = merges[rank];
    const std::size_t space = line.find(' ', 1);
    const auto left = read_spelling(line.substr(0, space));
    const auto right = read_spelling(space < line.size() ? line.substr(space + 1) : "");
    const std::int32_t left_id = left ? find(*left) : -1, right_id = right ? find(*right) : -1;
    const std::int32_t result = left && right ? find(*left + *right) : -1;
    if (left_id < 0 || right_id < 0 || result < 0)
      ++dropped_;
    else
      merges_[slot(pair_key(left_id, right_id))] = {pair_key(left_id, right_id),
                                                    static_cast<std::int32_t>(rank), result};
  }
}

std::int32_t Bpe::find(std::string_view bytes) const {
  const auto it = ids_.find(bytes);
  return it == ids_.end() ? -1 : it->second;
}

std::size_t Bpe::slot(std::uint64_t pair) const {
  const std::size_t mask = merges_.size() - 1;
  std::size_t i = (pair * 0x9e3779b97f4a7c15u) >> 32 & mask;
  while (merges_[i].pair != pair && merges_[i].pair != kNoPair) i = (i + 1) & mask;
  return i;
}

const Bpe::Merge* Bpe::merge_of(std::int32_t left, std::int32_t right) const {
  const Merge& merge = merges_[slot(pair_key(left, right))];
  return merge.pair == kNoPair ? nullptr : &merge;
}

void Bpe::Merger::push(std::int32_t position) {
  const Symbol& left = symbols_[position];
  if (left.next < 0) return;
  const std::int32_t right = symbols_[left.next].id;
  const Merge* merge = bpe_.merge_of(left.id, right);
  if (merge == nullptr) return;
  heap_.push_back({pair_key(merge->rank, position), left.id, right});
  std::push_heap(heap_.begin(), heap_.end(), kLater);
}

void Bpe::Merger::merge(const Candidate& best) {
  const auto position = static_cast<std::int32_t>(best.order & UINT32_MAX);
  Symbol& left = symbols_[position];
  // A candidate is stale once one of its two symbols took part in another merge.
  if (left.id != best.left || left.next < 0 || symbols_[left.next].id != best.right) return;
  Symbol& right = symbols_[left.next];
  left.id = bpe_.merge_of(best.left, best.right)->result;
  right.id = -1;
  left.next = right.next;
  if (left.next >= 0) symbols_[left.next].previous = position;
  if (left.previous >= 0) push(left.previous);
  push(position);
}

void Bpe::Merger::encode(std::string_view piece, std::vector<std::int32_t>& out) {
  RA_CHECK(piece.size() < INT32_MAX);
  symbols_.clear();
  heap_.clear();
  for (const char byte : piece) {
    const std::int32_t id = bpe_.byte_ids_[static_cast<unsigned char>(byte)];
    if (id < 0) continue;
    const auto at = static_cast<std::int32_t>(symbols_.size());
    symbols_.push_back({.id = id, .previous = at - 1, .next = at + 1});
  }
  if (symbols_.empty()) return;
  symbols_.back().next = -1;
  for (std::size_t i = 0; i + 1 < symbols_.size(); ++i) push(static_cast<std::int32_t>(i));
  while (!heap_.empty()) {
    std::pop_heap(heap_.begin(), heap_.end(), kLater);
    const Candidate best = heap_.back();
    heap_.pop_back();
    merge(best);
  }
  for (std::int32_t i = 0; i >= 0; i = symbols_[i].next) out.push_back(symbols_[i].id);
}

}  // namespace ra::tokenizer
