// SPDX-License-Identifier: Apache-2.0
// The occlusion rule of proximity graphs (relative neighbourhood pruning, alpha = 1): of two
// candidates that lie behind one another only the nearer is linked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/types.h"
#include "lib/core/matrix.h"
#include "lib/index/vector_index.h"

namespace ra::index {

// Nearness is the inner product in `x`; on the sphere of lift_to_sphere that is L2 order.
// `candidates` hold their nearness to the pivot, distinct, best first, without the pivot. Keeps a
// candidate unless a kept one is nearer to it than the pivot is, up to `limit`. With `fill` free
// places are given to the rejected, nearest first. Overwrites `kept`; returns the inner products
// computed.
std::int64_t select_links(MatView<const float> x, std::span<const Hit> candidates,
                          std::size_t limit, bool fill, std::vector<std::uint32_t>& kept);

// Candidates of `pivot` from `ids` (duplicates and the pivot are dropped, `ids` is reordered).
std::int64_t rank_candidates(MatView<const float> x, std::uint32_t pivot,
                             std::vector<std::uint32_t>& ids, std::vector<Hit>& candidates);

struct OcclusionScratch {
  AlignedBuffer<float> differences, products;
  AlignedBuffer<std::byte> packed, gemm;
  std::vector<float> square, open;
};

// What rank_candidates and select_links without `fill` keep of `ids` (distinct, ascending, without
// the pivot) by L2 distance, for many candidates: the products of all with all at once, in bf16 at
// levels avx512 and amx. Returns the inner products computed.
std::int64_t select_among(MatView<const float> x, std::uint32_t pivot,
                          std::span<const std::uint32_t> ids, std::size_t limit,
                          OcclusionScratch& s, std::vector<std::uint32_t>& kept);

}  // namespace ra::index
