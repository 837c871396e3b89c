// SPDX-License-Identifier: Apache-2.0
// How a warp shares keys out: `lanes` neighbouring threads, a team, take a key together, eight
// elements each, so 32 / lanes keys are under way; and up to `rows` query heads of the group share
// one reading of it.
#pragma once

#include "kernels/attend.h"
#include "kernels/cuda/grid.h"
#include "kernels/types.h"

namespace ra::cuda {

// Query heads that one block takes: the group, or as many of it as there are registers for.
constexpr unsigned tile_rows(std::size_t group) { return group == 1 ? 1 : group <= 4 ? 4 : 8; }

template <class T, unsigned lanes, class Launch>
void with_rows(unsigned rows, Launch&& go) {
  if (rows == 1) return go.template operator()<T, lanes, 1>();
  if (rows == 4) return go.template operator()<T, lanes, 4>();
  go.template operator()<T, lanes, 8>();
}

template <class T, class Launch>
void with_lanes(std::size_t dim, unsigned rows, Launch&& go) {
  if (dim <= 64) return with_rows<T, 8>(rows, go);
  if (dim <= 128) return with_rows<T, 16>(rows, go);
  with_rows<T, 32>(rows, go);
}

// Calls go<T, lanes, rows>() for rows of `dim` <= kMostHeadDim elements of that type and tiles of
// `rows` query heads.
template <class Launch>
void with_teams(kernels::KvType type, std::size_t dim, unsigned rows, Launch&& go) {
  if (type == kernels::KvType::kF32)
    with_lanes<float>(dim, rows, go);
  else
    with_lanes<bf16>(dim, rows, go);
}

}  // namespace ra::cuda
