// SPDX-License-Identifier: Apache-2.0
// What a scan of codes keeps for exact scores needs no order, only a floor that about as many codes
// reach as are wanted. It comes from a sample that is scored first; the others are compared with it
// where they are scored (kernels/codes.h, codes_at_least).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/ops.h"
#include "lib/index/best_hits.h"

namespace ra::index {

// Whether a sample of one row in `one_in` should set the floor that about `wanted` of n rows reach.
// Otherwise all are scored first: they are but a few times those wanted, or the floor of so few
// samples would be too rough.
constexpr bool sample_sets_floor(std::size_t n, std::size_t wanted, std::size_t one_in) {
  constexpr std::size_t kFew = 8, kRough = 12;
  return n >= kFew * wanted && wanted >= kRough * one_in;
}

// A score that about `rank` of n sampled rows reach, 1 <= rank <= n, is the `rank`-th largest of
// them or, where the sample is large beside it, of the largest scores of `parts` of the sample: row
// i is of part i modulo `parts`, so that neighbours, which are alike, are of different ones.
struct SampleFloor {
  std::size_t parts = 0, rank = 0;  // parts: a power of 2, at least 128; or 0 for all rows
};
SampleFloor sample_floor(std::size_t n, std::size_t rank);

// That score for query g, by the largest scores of its parts, best [group, parts], or without parts
// by its sampled rows.
float floor_of(const SampleFloor& f, std::size_t g, std::span<const float> best,
               std::span<const float> sampled, CutScratch& s);

// Of rows 0 .. n - 1, their scores stride apart for each query, those that reach the floor of any
// query, ascending, in out[0 .. n). Returns how many.
inline std::size_t rows_at_floor(const float* scores, std::size_t stride, std::size_t n,
                                 std::span<const float> floors, std::uint32_t* out) {
  return kernels::ops().group_at_least(
      {.scores = scores, .stride = stride, .group = floors.size(), .n = n}, floors.data(), out);
}

}  // namespace ra::index
