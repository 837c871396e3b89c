// SPDX-License-Identifier: Apache-2.0
// Where a number comes from: build, machine, libraries, threads.
#pragma once

#include <string>
#include <string_view>

#include "lib/core/json.h"

namespace ra {

std::string_view tool_version();  // project version, "0.1.0"
std::string_view git_commit();    // of the build, "unknown" outside a checkout
std::string now_utc();            // 2026-01-31T12:00:00Z; SOURCE_DATE_EPOCH is honoured

// The `provenance` object of result records, for this process as it is set up now.
Json provenance();
// Adds a library and its version ("hdf5", "1.10.8") to `libs`. Modules that hide a library offer
// note_libraries(), which the programs that link them call first in main.
void note_library(std::string_view name, std::string_view version);
void note_gpu(std::string_view name);  // what this run computes on beside the CPU
// --build-info: provenance plus compiled levels, CUDA and page size, as one JSON object.
Json build_info();

}  // namespace ra
