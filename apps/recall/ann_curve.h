// SPDX-License-Identifier: Apache-2.0
// ra-recall curve on an ann-benchmarks style file: keys, queries and training queries of one head.
#pragma once

#include "apps/recall/options.h"

namespace ra::recall {

int run_ann_curve(const Options& o);

}  // namespace ra::recall
