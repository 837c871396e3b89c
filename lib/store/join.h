// SPDX-License-Identifier: Apache-2.0
// Finished parts become OUT: one self-contained file, or virtual datasets over the parts.
#pragma once

#include <filesystem>
#include <vector>

#include "lib/store/layout.h"
#include "lib/store/manifest.h"

namespace ra::store {

// `info` is complete by now (ids, nll, ...). Copies chunk by chunk, so memory stays at a few MiB;
// verifies the result by reading all of it, then renames it into place.
void join_parts(const DumpInfo& info, const WriterOptions& options,
                const std::vector<PartEntry>& entries, const std::string& config_sha256);

}  // namespace ra::store
