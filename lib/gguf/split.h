// SPDX-License-Identifier: Apache-2.0
// Models in several files: NAME-00001-of-0000N.gguf. The first part has the metadata of the model;
// each part has its own tensors, and split.no (from 0), split.count, split.tensors.count.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "lib/gguf/metadata.h"

namespace ra::gguf {

struct SplitName {
  std::string stem;               // "NAME"
  int number = 0, count = 0;      // from 1; 1 <= number <= count <= 99999
  std::string part(int n) const;  // file name of part n
};

// Nothing unless `file_name` ends in -NNNNN-of-NNNNN.gguf with valid numbers.
std::optional<SplitName> parse_split_name(const std::string& file_name);

struct SplitKeys {
  std::int64_t number = 0, count = 1;   // number from 0; count 1 = one file
  std::optional<std::int64_t> tensors;  // of the whole model
};

// Throws Error{kBadData} if split.count or split.no is missing, not an integer or out of range.
SplitKeys read_split_keys(const Metadata& metadata, const std::string& file);

}  // namespace ra::gguf
