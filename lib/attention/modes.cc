// SPDX-License-Identifier: Apache-2.0
#include "lib/attention/modes.h"

#include <fmt/format.h>

#include <algorithm>

#include "lib/core/error.h"

namespace ra::attention {
namespace {

constexpr Mode kModes[] = {
    {.name = "full", .index = "", .dense = true, .help = "every key, every token (KV cache kept)"},
    {.name = "streaming", .index = "", .help = "static set only: sink and recent window"},
    {.name = "knn", .index = "flat", .help = "static set and the exact top-k of the rest"},
    {.name = "ivf", .index = "ivf", .help = "static set and FAISS IVF"},
    // Nearness by raw inner product breaks HNSW's pruning when key norms differ: with the lift to
    // the sphere the order of inner products is the same and the graph stays whole.
    {.name = "hnsw",
     .index = "hnsw:metric=lift",
     .help = "static set and FAISS HNSW, keys lifted to the sphere"},
    {.name = "pages",
     .index = "pages",
     .whole = true,
     .help = "static set and the pages of keys with the highest bounds, whole"},
    {.name = "retrieval",
     .index = "qivf",
     .any_index = true,
     .help = "static set and an attention-aware index"},
    {.name = "tail",
     .index = "qivf",
     .any_index = true,
     .tail = true,
     .help = "retrieval, and an estimate of the keys it leaves out"},
};

}  // namespace

std::span<const Mode> modes() { return kModes; }

const Mode& find_mode(std::string_view name) {
  const auto* it = std::find_if(std::begin(kModes), std::end(kModes),
                                [&](const Mode& m) { return m.name == name; });
  if (it != std::end(kModes)) return *it;
  std::string known;
  for (const Mode& m : kModes) known += fmt::format("{}{}", known.empty() ? "" : ", ", m.name);
  fail_usage("--mode", fmt::format("unknown mode '{}'", name), "known: " + known);
}

}  // namespace ra::attention
