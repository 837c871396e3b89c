// SPDX-License-Identifier: Apache-2.0
// The parameters that the two HNSW baselines share, so that they can be compared setting by
// setting.
#pragma once

#include <array>

#include "lib/core/params.h"

namespace ra::index {

inline constexpr std::array kHnswParams{
    ParamInfo{"m", "int", "32", 2, 256, false,
              "links of a key per upper layer; twice that at the base"},
    ParamInfo{"ef_construction", "int", "200", 1, 10000, false, "beam while building"},
    ParamInfo{
        "metric", "raw|lift|centred|query", "raw", 0, 0, false,
        "nearness of keys: inner product, L2 on the sphere, that of the keys less their mean, "
        "or that in the query metric"},
    ParamInfo{"share", "group|head", "group", 0, 0, false,
              "one index per KV head, or one per query head"},
    ParamInfo{"ef", "int", "100", 1, 1e9, true, "width of the search beam"},
};

// Links of a key, upper layers included: on the average a key is in 1 / (m - 1) of these.
inline std::size_t hnsw_links(const ParamReader& params) {
  const auto m = static_cast<std::size_t>(params.integer("m"));
  return 2 * m + (m + m - 2) / (m - 1);
}

}  // namespace ra::index
