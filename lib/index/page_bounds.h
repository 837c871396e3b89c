// SPDX-License-Identifier: Apache-2.0
// Upper bounds on the scores of the keys of a page: the largest and the smallest value of each
// coordinate say how much a query can get of it (Quest, arXiv 2406.10774, section 3.3). Said as an
// inner product of twice the dimension, so a scan of pages is a scan of keys.
#pragma once

#include <span>

#include "kernels/types.h"

namespace ra::index {

// out [2 dim]: the largest of each coordinate of `keys` [>= 1, dim], then the smallest, rounded to
// bf16 away from the keys.
void page_bounds(MatView<const float> keys, std::span<bf16> out);

// out [2 dim]: max(q, 0), then min(q, 0), whose inner product with the bounds of a page is at least
// that of the query with each of its keys.
void bound_query(std::span<const float> query, std::span<float> out);

}  // namespace ra::index
