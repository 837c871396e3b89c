// SPDX-License-Identifier: Apache-2.0
// Where the attention of a decoded token spends its time, layer by layer: the two sources that run
// side by side (retrieval with its hits, and the static set), how long both did, and which waited.
#pragma once

#include <string>
#include <vector>

#include "lib/core/json.h"
#include "lib/model/decoder.h"

namespace ra::bench_app {

// The field `layers` of a record, an object for each layer, of sums over `steps`.
Json layers_json(const model::Config& config, const std::vector<model::StepTimes>& layers,
                 double steps);

// Of the records that have it; nothing if `format` is not md.
void print_layer_table(const std::vector<Json>& records, const std::string& format);

}  // namespace ra::bench_app
