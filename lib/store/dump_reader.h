// SPDX-License-Identifier: Apache-2.0
// What the writer needs of the reader.
#pragma once

#include <filesystem>
#include <string>

#include "lib/store/dump_info.h"

namespace ra::store {

// Opens `file` as a dump whose parts, if any, lie in `folder`, and reads every vector once, so that
// all checksums are compared. Throws as DumpReader::open does.
void verify_dump(const std::filesystem::path& file, const std::filesystem::path& folder);

// How the dump at `file` holds its vectors. Throws as DumpReader::open does.
DumpParts read_parts_info(const std::filesystem::path& file);

}  // namespace ra::store
