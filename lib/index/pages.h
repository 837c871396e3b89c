// SPDX-License-Identifier: Apache-2.0
// Pages of consecutive keys, the pages with the highest bounds read whole (Quest, arXiv
// 2406.10774). Bounds are scanned for the whole group; which pages are read is each head's own
// choice. Nothing is learnt: pages of new keys are appended.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "lib/core/params.h"
#include "lib/index/index_state.h"
#include "lib/index/vector_index.h"

namespace ra::index {

std::span<const ParamInfo> pages_params();
std::size_t pages_bytes(const KeyShape& shape, const ParamReader& params);
std::size_t pages_segment(const ParamReader& params, std::size_t first);
std::unique_ptr<VectorIndex> build_pages(const BuildInput& in, const ParamReader& params);
std::unique_ptr<VectorIndex> restore_pages(const BuildInput& in, const ParamReader& params,
                                           const IndexState& state);

}  // namespace ra::index
