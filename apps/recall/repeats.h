// SPDX-License-Identifier: Apache-2.0
// What the seeds of --repeats say together.
#pragma once

#include <vector>

#include "apps/recall/curve_points.h"
#include "lib/bench/results.h"

namespace ra::recall {

// A `repeats` record for each point with more than one seed: for every metric of its records the
// mean and, as NAME_sd, the standard deviation over seeds of the mean over heads;
// `recall_id_head_p05` and `recall_id_head_min` of the heads' means over seeds; sample `recall_id`
// [seed][head]. Its config is what the records agree on, with `seeds` and `heads` (LAYER/HEAD).
std::vector<bench::Result> repeat_records(const std::vector<Point>& points);

}  // namespace ra::recall
