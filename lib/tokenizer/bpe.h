// SPDX-License-Identifier: Apache-2.0
// Byte-pair merges by rank inside one piece of text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace ra::tokenizer {

class Bpe {
 public:
  // tokens[id] are bytes; an empty string takes no part. Of equal tokens the first counts.
  // merges are "left right" in the byte-level alphabet, best first; of equal pairs the last counts
  // (as in `tokenizers`). The strings of `tokens` must outlive this object.
  Bpe(std::span<const std::string> tokens, std::span<const std::string> merges);

  // Appends the ids of `piece` to `out`. Always merges the pair of the best rank, leftmost first,
  // from a heap over a linked list: O(n log n). A byte that is no token is left out, as
  // `tokenizers` does without an unknown token (SmolLM2's vocabulary lacks 21 bytes; 8 of them
  // occur in UTF-8). Not const: it keeps its scratch.
  class Merger {
   public:
    explicit Merger(const Bpe& bpe) : bpe_(bpe) {}
    void encode(std::string_view piece, std::vector<std::int32_t>& out);

   private:
    struct Symbol {
      std::int32_t id;              // -1 = merged into its left neighbour
      std::int32_t previous, next;  // -1 = none
    };
    struct Candidate {
      std::uint64_t order;  // rank << 32 | position: the smallest is merged first
      std::int32_t left, right;
    };
    void push(std::int32_t position);
    void merge(const Candidate& best);

    const Bpe& bpe_;
    std::vector<Symbol> symbols_;
    std::vector<Candidate> heap_;
  };

  std::int32_t find(std::string_view bytes) const;  // -1 if no token
  std::size_t dropped_merges() const { return dropped_; }

 private:
  struct Merge {
    std::uint64_t pair = kNoPair;  // left << 32 | right
    std::int32_t rank = 0, result = 0;
  };
  static constexpr std::uint64_t kNoPair = UINT64_MAX;
  std::size_t slot(std::uint64_t pair) const;  // where it is, or where it would be
  const Merge* merge_of(std::int32_t left, std::int32_t right) const;

  std::unordered_map<std::string_view, std::int32_t> ids_;
  std::int32_t byte_ids_[256];
  std::vector<Merge> merges_;  // open addressing, at most half full; the size is a power of two
  std::size_t dropped_ = 0;
};

}  // namespace ra::tokenizer
