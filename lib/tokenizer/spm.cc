// SPDX-License-Identifier: Apache-2.0
#include "lib/tokenizer/spm.h"

#include <algorithm>
#include <numeric>

#include "lib/core/error.h"
#include "lib/tokenizer/code_points.h"

namespace ra::tokenizer {
namespace {

constexpr auto kLater = [](const auto& a, const auto& b) { return a.order > b.order; };

}  // namespace

Spm::Spm(std::span<const std::string> pieces, std::span<const float> scores,
         const std::vector<bool>& unused, const Fallback& fallback)
    : ranks_(pieces.size()), unused_(unused), fallback_(fallback) {
  RA_CHECK(scores.size() == pieces.size() && unused.size() == pieces.size());
  ids_.reserve(pieces.size());
  for (std::size_t id = 0; id < pieces.size(); ++id) {
    if (pieces[id].empty()) continue;
    ids_.try_emplace(pieces[id], static_cast<std::int32_t>(id));
    longest_ = std::max(longest_, pieces[id].size());
  }
  std::vector<std::size_t> order(pieces.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, std::ranges::greater(),
                           [&](std::size_t id) { return scores[id]; });
  std::int32_t rank = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (i > 0 && scores[order[i]] != scores[order[i - 1]]) ++rank;
    ranks_[order[i]] = rank;
  }
}

std::int32_t Spm::find(std::string_view piece) const {
  const auto it = ids_.find(piece);
  return it == ids_.end() ? -1 : it->second;
}

void Spm::Merger::push(std::int32_t left, std::int32_t right) {
  if (left < 0 || right < 0) return;
  const Symbol &a = symbols_[left], &b = symbols_[right];
  const std::size_t size = static_cast<std::size_t>(a.size) + static_cast<std::size_t>(b.size);
  if (size > spm_.longest_) return;
  const std::int32_t id = spm_.find(text_.substr(a.begin, size));
  if (id < 0) return;
  const std::int32_t rank = spm_.ranks_[id];
  heap_.push_back({static_cast<std::uint64_t>(rank) << 32 | static_cast<std::uint32_t>(left), right,
                   static_cast<std::int32_t>(size)});
  std::push_heap(heap_.begin(), heap_.end(), kLater);
  if (spm_.unused_[id]) parts_[id] = {text_of(a), text_of(b)};
}

void Spm::Merger::merge(const Candidate& best) {
  const auto at = static_cast<std::int32_t>(best.order & UINT32_MAX);
  Symbol &left = symbols_[at], &right = symbols_[best.right];
  // A candidate is stale once one of its two symbols took part in another merge.
  if (left.size == 0 || right.size == 0 || left.size + right.size != best.size) return;
  left.size = best.size;
  right.size = 0;
  left.next = right.next;
  if (left.next >= 0) symbols_[left.next].previous = at;
  push(left.previous, at);
  push(at, left.next);
}

// One merged piece, taken apart if it is unused, or what stands for a character without a piece.
void Spm::Merger::append(std::string_view piece, std::vector<std::int32_t>& out) {
  pending_.assign(1, piece);
  while (!pending_.empty()) {
    const std::string_view next = pending_.back();
    pending_.pop_back();
    const std::int32_t id = spm_.find(next);
    const auto parts = id >= 0 && spm_.unused_[id] ? parts_.find(id) : parts_.end();
    if (parts != parts_.end()) {
      pending_.push_back(parts->second.second);
      pending_.push_back(parts->second.first);
    } else if (id >= 0 && !spm_.unused_[id]) {
      after_unknown_ = false;
      out.push_back(id);
    } else if (spm_.fallback_.bytes) {
      for (const char byte : next)
        out.push_back(spm_.fallback_.byte_ids[static_cast<unsigned char>(byte)]);
    } else {
      if (!after_unknown_) out.push_back(spm_.fallback_.unknown);
      after_unknown_ = true;
    }
  }
}

void Spm::Merger::encode(std::string_view text, std::vector<std::int32_t>& out) {
  RA_CHECK(text.size() < INT32_MAX);
  text_ = text;
  symbols_.clear();
  heap_.clear();
  parts_.clear();
  after_unknown_ = false;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t bytes = code_point_at(text, i).bytes;
    const auto at = static_cast<std::int32_t>(symbols_.size());
    symbols_.push_back({.begin = static_cast<std::int32_t>(i),
                        .size = static_cast<std::int32_t>(bytes),
                        .previous = at - 1,
                        .next = at + 1});
    i += bytes;
  }
  if (symbols_.empty()) return;
  symbols_.back().next = -1;
  for (std::int32_t i = 1; i < std::ssize(symbols_); ++i) push(i - 1, i);
  while (!heap_.empty()) {
    std::pop_heap(heap_.begin(), heap_.end(), kLater);
    const Candidate best = heap_.back();
    heap_.pop_back();
    merge(best);
  }
  for (std::int32_t i = 0; i >= 0; i = symbols_[i].next) append(text_of(symbols_[i]), out);
}

}  // namespace ra::tokenizer
