// SPDX-License-Identifier: Apache-2.0
// What an index learnt, apart from its keys: with the same keys and parameters it makes the index
// again without learning. Files are the caller's business.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/index/vector_index.h"

namespace ra::index {

struct IndexState {
  std::map<std::string, std::vector<std::uint32_t>, std::less<>> arrays;
  BuildStats stats;  // what the build cost

  // As their bits; 0 for -0.
  void put_floats(std::string_view name, std::span<const float> values);

  // The array of this name. All throw Error{kBadData} naming it: if it is not there, has not
  // `size` elements, or holds a number that is not below `limit` or, of floats, one that
  // put_floats would not have written: NaN, infinity, -0.
  const std::vector<std::uint32_t>& array(std::string_view name) const;
  const std::vector<std::uint32_t>& array(std::string_view name, std::size_t size) const;
  const std::vector<std::uint32_t>& ids(std::string_view name, std::size_t limit) const;
  std::vector<float> floats(std::string_view name, std::size_t size) const;
};

[[noreturn]] void refuse_state(std::string_view array, std::string why);

}  // namespace ra::index
