// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "apps/cli.h"
#include "apps/dump/options.h"

namespace ra::dump_app {

// The whole program after parsing. Returns the exit code or throws Error.
int run_dump(const DumpOptions& options, const cli::CommonOptions& common);

}  // namespace ra::dump_app
