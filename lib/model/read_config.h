// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "lib/gguf/reader.h"
#include "lib/model/arch/registry.h"
#include "lib/model/config.h"
#include "lib/model/load.h"

namespace ra::model {

// Reads and checks the keys of `arch`; tensors are checked by load(). Throws Error{kBadData} naming
// the key, its value and the limit, also for what the graph does not have: experts, capped logits,
// a sliding window in a family without one, layers that differ in heads or width.
Config read_config(const gguf::File& file, const Architecture& arch, const LoadOptions& options);

}  // namespace ra::model
