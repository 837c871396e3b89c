// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "lib/gguf/reader.h"
#include "lib/model/arch/registry.h"
#include "lib/model/config.h"
#include "lib/model/load.h"

namespace ra::model {

// Reads and checks the keys of `arch`; tensors are checked by load(). Throws Error{kBadData} naming
// the key, its value and the limit, also for what the graph does not have: experts, a sliding
// window shorter than the context, layers that differ in heads or width.
Config read_config(const gguf::File& file, const Architecture& arch, const LoadOptions& options);

}  // namespace ra::model
