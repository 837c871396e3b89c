// SPDX-License-Identifier: Apache-2.0
// Reference values written by experiments/parity/reference.py: one line of JSON, then the arrays it
// lists, packed and little-endian.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "lib/core/json.h"

namespace ra::test {

struct ReferenceArray {
  std::vector<std::size_t> shape;
  std::vector<float> floats;           // of f32 and f16 arrays
  std::vector<std::int32_t> integers;  // of i32 arrays
};

class ReferenceFile {
 public:
  explicit ReferenceFile(const std::filesystem::path& path);  // throws std::runtime_error
  const Json& header() const { return header_; }
  bool has(const std::string& name) const { return arrays_.contains(name); }
  const ReferenceArray& array(const std::string& name) const { return arrays_.at(name); }
  const std::vector<float>& floats(const std::string& name) const { return array(name).floats; }
  const std::vector<std::int32_t>& integers(const std::string& name) const {
    return array(name).integers;
  }

 private:
  Json header_;
  std::map<std::string, ReferenceArray> arrays_;
};

}  // namespace ra::test
