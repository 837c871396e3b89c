// SPDX-License-Identifier: Apache-2.0
#include "lib/attention/index_plan.h"

#include <algorithm>

#include "lib/core/parallel.h"

namespace ra::attention {

IndexPlan plan_indexes(const AttentionShape& shape, const SparseOptions& options, std::int64_t keys,
                       model::KvType type, std::int64_t harvested) {
  IndexPlan plan;
  if (!options.index || keys <= 0) return plan;
  const index::IndexSpec& spec = *options.index;
  const auto dim = static_cast<std::size_t>(shape.head_dim),
             value_dim = static_cast<std::size_t>(shape.value_dim);
  std::size_t kv_heads = 0;  // of all layers
  for (int layer = 0; layer < shape.layers; ++layer)
    kv_heads += shape.has_index(layer) ? static_cast<std::size_t>(shape.kv_heads) : 0;
  const std::size_t per_kv_head = spec.share_group ? 1 : static_cast<std::size_t>(shape.group());
  index::KeyShape of{.keys = static_cast<std::size_t>(keys),
                     .dim = dim,
                     .heads = static_cast<std::size_t>(shape.group()) / per_kv_head,
                     .stored = type != model::KvType::kInt8,
                     .bf16 = type == model::KvType::kBf16,
                     .value_dim = options.rest ? value_dim : 0};
  plan.bytes = kv_heads * per_kv_head * index::index_bytes(spec, of);
  if (options.tail) plan.bytes += kv_heads * TailCells::bytes_of(of.keys, dim, value_dim);
  if (spec.lists > 0)
    plan.lists = Harvest::bytes_of(
        kv_heads * static_cast<std::size_t>(shape.group()) * static_cast<std::size_t>(harvested),
        spec.lists);
  // Keys are widened, moved to the metric of the build and lifted; lists are gathered, then packed.
  std::size_t at_once = 1;
  if (spec.segment > 0) {
    at_once = std::min(static_cast<std::size_t>(threads()), kv_heads);
    of.keys = std::min(of.keys, spec.piece(of.keys));
  }
  plan.building = at_once * (of.keys * (3 * (dim + 1) + of.value_dim) * sizeof(float) +
                             2 * index::index_bytes(spec, of));
  return plan;
}

}  // namespace ra::attention
