// SPDX-License-Identifier: Apache-2.0
#include "lib/index/index_state.h"

#include <fmt/format.h>

#include <utility>

#include "lib/core/error.h"

namespace ra::index {

void refuse_state(std::string_view array, std::string why) {
  fail_bad_data({.what = "bad saved index",
                 .file = "",
                 .where = std::string(array),
                 .why = std::move(why),
                 .hint = "build it again"});
}

const std::vector<std::uint32_t>& IndexState::array(std::string_view name) const {
  const auto at = arrays.find(name);
  if (at == arrays.end()) refuse_state(name, "is missing");
  return at->second;
}

const std::vector<std::uint32_t>& IndexState::array(std::string_view name, std::size_t size) const {
  const auto& found = array(name);
  if (found.size() != size)
    refuse_state(name, fmt::format("{} elements, {} expected", found.size(), size));
  return found;
}

const std::vector<std::uint32_t>& IndexState::ids(std::string_view name, std::size_t limit) const {
  const auto& found = array(name);
  for (std::size_t i = 0; i < found.size(); ++i)
    if (found[i] >= limit)
      refuse_state(name, fmt::format("element {} is {}, not below {}", i, found[i], limit));
  return found;
}

}  // namespace ra::index
