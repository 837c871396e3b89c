// SPDX-License-Identifier: Apache-2.0
// How attention is computed: the seam between the decoder and lib/attention.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/types.h"
#include "lib/model/kv_cache.h"

namespace ra::model {

struct AttendInput {
  int layer = 0;
  std::int64_t pos = 0;            // position of the first row of q
  MatView<const float> q;          // [tokens, heads * head_dim], after RoPE; the backend's memory
  const KvCache* cache = nullptr;  // holds keys 0..pos+tokens-1 of this layer already
  float scale = 1;
  std::int64_t window = 0;  // keys a row attends to, its own included; 0 = all before it
};

// Time on the critical path and work of one attend call (one layer, all heads).
struct AttendStats {
  double search_ms = 0, gather_ms = 0, static_ms = 0, merge_ms = 0;  // exclusive parts
  double grow_ms = 0;                             // of search_ms: indexes took in decoded keys
  double search_busy_ms = 0, static_busy_ms = 0;  // sums may exceed the step
  // Of search_busy_ms, where an index has cells: scoring and picking them, floors, the other keys.
  double search_cells_ms = 0, search_pick_ms = 0, search_floor_ms = 0, search_filter_ms = 0;
  // Wall time in which both sources, retrieval with its hits and static set, were under way, and
  // how long the one that was done first waited for the other.
  double overlap_ms = 0, search_wait_ms = 0, static_wait_ms = 0;
  std::int64_t distances = 0, bytes = 0, hops = 0;  // index work; bytes include K and V rows read
  std::int64_t indexed_keys = 0;   // n summed over query heads: scanned fraction = distances / this
  std::int64_t attended_keys = 0;  // beside the static set, summed over query heads
  AttendStats& operator+=(const AttendStats& o);
};

class AttentionPolicy {
 public:
  virtual ~AttentionPolicy() = default;
  // Several rows (prefill): exact causal attention in every mode. One row (decode): the policy's
  // own, except that a layer with a window is exact over its window in every mode.
  virtual AttendStats attend(const AttendInput& in,
                             MatView<float> out) = 0;  // out [tokens, heads * value_dim], likewise
};

}  // namespace ra::model
