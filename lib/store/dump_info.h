// SPDX-License-Identifier: Apache-2.0
// DumpInfo as root attributes and small datasets.
#pragma once

#include <filesystem>
#include <string>

#include "lib/store/file_driver.h"
#include "lib/store/vectors.h"

namespace ra::store {

// How OUT holds its vectors, beside DumpInfo.
struct DumpParts {
  std::string config_sha256;    // of the run; a resume knows its own finished dump by it
  std::string folder;           // name of the parts folder beside OUT, empty if self-contained
  std::string manifest_sha256;  // of its manifest, empty if self-contained
};

// Everything but `complete`, the layers' K, V, Q and the phase and logits datasets.
void write_attributes(const Hdf5Output& out, const DumpInfo& info, const DumpParts& parts);
// /tokens, /phase, /logits and every layer's q_pos; creates the groups.
void write_lists(const Hdf5Output& out, const DumpInfo& info);
void write_complete(const Hdf5Output& out);
// The attributes of a layer's Q.
void write_query_attributes(const Hdf5Output& out, hid_t q, const DumpInfo& info, int layer);

// Reads all that and checks every value. What lies on the vectors is not read: `scale` and
// `layer_attributes`.
void read_info(const std::filesystem::path& file, hid_t h5, DumpInfo& info, DumpParts& parts);

}  // namespace ra::store
