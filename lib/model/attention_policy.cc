// SPDX-License-Identifier: Apache-2.0
#include "lib/model/attention_policy.h"

namespace ra::model {

AttendStats& AttendStats::operator+=(const AttendStats& o) {
  search_ms += o.search_ms;
  gather_ms += o.gather_ms;
  static_ms += o.static_ms;
  merge_ms += o.merge_ms;
  grow_ms += o.grow_ms;
  search_busy_ms += o.search_busy_ms;
  static_busy_ms += o.static_busy_ms;
  search_cells_ms += o.search_cells_ms;
  search_pick_ms += o.search_pick_ms;
  search_floor_ms += o.search_floor_ms;
  search_filter_ms += o.search_filter_ms;
  overlap_ms += o.overlap_ms;
  search_wait_ms += o.search_wait_ms;
  static_wait_ms += o.static_wait_ms;
  distances += o.distances;
  bytes += o.bytes;
  hops += o.hops;
  indexed_keys += o.indexed_keys;
  attended_keys += o.attended_keys;
  return *this;
}

}  // namespace ra::model
