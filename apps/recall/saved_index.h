// SPDX-License-Identifier: Apache-2.0
// Indexes kept on disk between `build --save` and `curve --load`: one file each, a TensorFile
// (lib/model/tensor_file.h) of magic RAINDEX1. Its JSON header names the index, layer, head, seed
// and training queries, the hash of the keys, and what the build cost; its tensors are the arrays
// of the index's state, u32. Keys are not in it. It is private to this program: an index of another
// program is never read.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "apps/recall/indexing.h"

namespace ra::recall {

// Throws Error{kUsage} naming `option` and the first spec whose type cannot be saved.
void check_savable(const std::vector<index::IndexSpec>& specs, const std::string& option);

// LAYER, KV head, head, index name and a hash of its parameters.
std::filesystem::path saved_index_name(const IndexUnit& unit);

// Throws Error 73, 74, 77.
void save_index(const std::filesystem::path& folder, bool force, const IndexUnit& unit,
                const index::BuildInput& in, const index::VectorIndex& built);

// The same index. Throws Error: 66 and 77 for the file, 65 where it is damaged, foreign, or of
// other keys, parameters or training queries.
std::unique_ptr<index::VectorIndex> load_index(const std::filesystem::path& folder,
                                               const IndexUnit& unit, const index::BuildInput& in);

}  // namespace ra::recall
