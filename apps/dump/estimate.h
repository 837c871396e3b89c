// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "apps/dump/plan.h"

namespace ra::dump_app {

// --estimate: one JSON line on stdout: tokens, bytes written, peak memory, seconds. Memory counts
// mapped weights whole, since a prefill touches all of them. Runs a few tokens to learn the speed,
// unless memory is short (seconds is null then).
void print_estimate(const DumpOptions& options, const cli::CommonOptions& common,
                    const Request& request, const Plan& plan);

}  // namespace ra::dump_app
