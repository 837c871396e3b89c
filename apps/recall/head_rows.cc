// SPDX-License-Identifier: Apache-2.0
#include "apps/recall/head_rows.h"

namespace ra::recall {

HeadRows head_rows(const std::vector<Json>& records, bool per_head) {
  HeadRows rows;
  for (const Json& r : records) {
    const Json& c = r["config"];
    rows[{c["layer"], c["query_set"], per_head ? c["head"].get<int>() : -1}].push_back(&r);
  }
  return rows;
}

}  // namespace ra::recall
