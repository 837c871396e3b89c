// SPDX-License-Identifier: Apache-2.0
// SentencePiece's BPE (Kudo and Richardson, arXiv 1808.06226): a vocabulary with scores and no list
// of merges. Two neighbours merge if together they are a piece, the best score first.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace ra::tokenizer {

class Spm {
 public:
  // What a character becomes that is in no piece: its bytes, if all 256 have a token, else
  // `unknown`, once for a run of such characters.
  struct Fallback {
    std::array<std::int32_t, 256> byte_ids;
    bool bytes = false;
    std::int32_t unknown = -1;
  };
  // pieces[id] as merging knows them, spaces spelled U+2581; an empty string takes no part. Of
  // equal pieces the first counts. An `unused` piece may be met on the way to a longer one, but is
  // taken apart again where it is the end; a character cannot be, and is one without a piece. All
  // [tokens]; the strings must outlive this object.
  Spm(std::span<const std::string> pieces, std::span<const float> scores,
      const std::vector<bool>& unused, const Fallback& fallback);

  // Merges the pair of the best score, leftmost first, from a heap over a linked list: O(n log n)
  // in the text, which is not cut into words before. Not const: it keeps its scratch.
  class Merger {
   public:
    explicit Merger(const Spm& spm) : spm_(spm) {}
    // Appends the ids of `text` (valid UTF-8) to `out`.
    void encode(std::string_view text, std::vector<std::int32_t>& out);

   private:
    struct Symbol {
      std::int32_t begin, size;     // bytes of the text; size 0 = merged into its left neighbour
      std::int32_t previous, next;  // -1 = none
    };
    struct Candidate {
      std::uint64_t order;  // rank << 32 | left symbol: the smallest is merged first
      std::int32_t right, size;
    };
    std::string_view text_of(const Symbol& s) const { return text_.substr(s.begin, s.size); }
    void push(std::int32_t left, std::int32_t right);
    void merge(const Candidate& best);
    void append(std::string_view piece, std::vector<std::int32_t>& out);

    const Spm& spm_;
    std::string_view text_;
    std::vector<Symbol> symbols_;
    std::vector<Candidate> heap_;
    // Unused piece -> the two it was last to be made of.
    std::unordered_map<std::int32_t, std::pair<std::string_view, std::string_view>> parts_;
    std::vector<std::string_view> pending_;
    bool after_unknown_ = false;
  };

 private:
  std::int32_t find(std::string_view piece) const;  // -1 if none

  std::unordered_map<std::string_view, std::int32_t> ids_;
  std::vector<std::int32_t> ranks_;  // by id: 0 = the best score; equal scores share one
  std::vector<bool> unused_;
  Fallback fallback_;
  std::size_t longest_ = 0;  // piece, in bytes
};

}  // namespace ra::tokenizer
