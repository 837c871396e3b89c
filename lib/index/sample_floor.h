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

// A score that about `rank` of the sample reach, 1 <= rank <= scores.size(). Where the sample is
// large beside the rank it is found among the largest scores of 8 to 16 times as many parts of the
// sample, in one pass; else it is the rank-th largest.
float sample_floor(std::span<const float> scores, std::size_t rank, CutScratch& s);

// Of rows 0 .. n - 1, their scores stride apart for each query, those that reach the floor of any
// query, ascending, in out[0 .. n). Returns how many.
inline std::size_t rows_at_floor(const float* scores, std::size_t stride, std::size_t n,
                                 std::span<const float> floors, std::uint32_t* out) {
  const kernels::Run all{.at = 0, .rows = static_cast<std::uint32_t>(n)};
  return kernels::ops().runs_at_least({.scores = scores,
                                       .stride = stride,
                                       .group = floors.size(),
                                       .runs = &all,
                                       .n = 1,
                                       .floors = floors.data(),
                                       .out = out});
}

}  // namespace ra::index
