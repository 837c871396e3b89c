// SPDX-License-Identifier: Apache-2.0
// The k best of scores that are all at hand: cut at the k-th best, then sort what is left.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "lib/index/vector_index.h"

namespace ra::index {

struct CutScratch {
  std::vector<float> scores;
  std::vector<std::uint32_t> at;
  std::vector<std::uint64_t> keys;
};

// Positions of the m largest scores, ascending; ties at the cut go to the earlier position. Valid
// until the scratch is used again.
std::span<const std::uint32_t> cut(std::span<const float> scores, std::size_t m, CutScratch& s);

// hits gets the min(k, n) best of n scores, best first, ties to the smaller id: scores[j] belongs
// to ids[j], all different. Scores that are NaN are left out.
void best_hits(std::span<const float> scores, std::span<const std::uint32_t> ids, std::size_t k,
               CutScratch& s, std::vector<Hit>& hits);

// The same in the order of `ids`; ties at the k-th place go to the earlier position.
void best_unranked(std::span<const float> scores, std::span<const std::uint32_t> ids, std::size_t k,
                   CutScratch& s, std::vector<Hit>& hits);

// The m-th largest score, NaN the smallest of all; 1 <= m <= scores.size().
float mth_largest(std::span<const float> scores, std::size_t m, CutScratch& s);

}  // namespace ra::index
