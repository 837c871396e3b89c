// SPDX-License-Identifier: Apache-2.0
// The rotation that a layer's queries and keys in a dump went through.
#pragma once

#include "lib/stats/synthetic_context.h"
#include "lib/store/vectors.h"

namespace ra::bench_app {

// Throws Error{kBadData} where the dump does not say it: a `rope_scaling` that is not understood,
// or llama3's, whose divisors are in the model only.
stats::RotaryPairs dump_rotary(const store::DumpReader& dump, int layer);

}  // namespace ra::bench_app
