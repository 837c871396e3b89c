// SPDX-License-Identifier: Apache-2.0
// How many of its hits a query head attends to: as many as its attention needs, not a fixed number.
// `k` stays the most.
#pragma once

#include <cstddef>
#include <limits>
#include <span>

#include "kernels/partial.h"
#include "lib/index/vector_index.h"

namespace ra::attention {

struct HitCut {
  // The fewest hits that hold, with the static set, this share of the softmax mass of the static
  // set and all hits (top-p, as in Twilight, arXiv 2502.02770); in (0, 1].
  double top_p = 1;
  // Hits whose logit is at most this far, in nats, below the largest of the static set and the hits
  // (dynamic inner product range, AlayaDB, arXiv 2504.10326); >= 0.
  double range = std::numeric_limits<double>::infinity();
  bool active() const { return top_p < 1 || range < std::numeric_limits<double>::infinity(); }
};

// How many of `hits`, best first, are attended: those that every rule of the cut keeps. A hit's
// logit is its score * scale; `fixed` is the static set's part of the same head.
std::size_t kept_hits(const HitCut& cut, std::span<const index::Hit> hits, float scale,
                      const kernels::Partial& fixed);

}  // namespace ra::attention
