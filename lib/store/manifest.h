// SPDX-License-Identifier: Apache-2.0
// How a dump is cut into parts, and the list of finished ones: OUT.parts/manifest.jsonl, one line
// per part, appended and synced after the part is in place.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "lib/store/layout.h"

namespace ra::store {

// Where parts are cut: prompt positions at multiples of `tokens`, generated ones every
// `decode_tokens` after the prompt; `layers` dumped layers per part.
struct Grid {
  std::int64_t tokens = 0, decode_tokens = 0;
  int layers = 0;
  // First cut after `pos`.
  std::int64_t next_cut(const DumpInfo& info, std::int64_t pos) const;
};

// The largest parts of at most part_bytes. If not even one append of all layers fits, the layers
// are divided and a prompt part is one append long, so that one group of layers is open at a time;
// parts of generated tokens hold all layers at once and are cut shorter instead.
Grid choose_grid(const DumpInfo& info, const WriterOptions& options);

struct PartEntry {
  std::string part;  // file name in the folder
  std::uint64_t bytes = 0;
  std::string sha256;
  Range range;
  std::string config_sha256;
  Grid grid;
};

std::filesystem::path parts_folder(const std::filesystem::path& out);      // OUT.parts
std::filesystem::path manifest_file(const std::filesystem::path& folder);  // manifest.jsonl
// "000-029_0000000000.h5": first and last layer, first token.
std::string part_name(const Range& range);
bool is_part_name(std::string_view name);

std::string to_line(const PartEntry& entry);
// Strict; a torn last line is ignored (its part counts as not written), no file gives no entries.
// Throws Error{kBadData} with the line number. Names are checked: no path leaves the folder.
std::vector<PartEntry> read_manifest(const std::filesystem::path& folder);

}  // namespace ra::store
