// SPDX-License-Identifier: Apache-2.0
#include "lib/index/index_state.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>
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

void IndexState::put_floats(std::string_view name, std::span<const float> values) {
  auto& bits = arrays[std::string(name)];
  bits.clear();
  for (const float v : values) bits.push_back(std::bit_cast<std::uint32_t>(v == 0 ? 0.0f : v));
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

std::vector<float> IndexState::floats(std::string_view name, std::size_t size) const {
  const auto& bits = array(name, size);
  std::vector<float> out;
  for (std::size_t i = 0; i < size; ++i) {
    out.push_back(std::bit_cast<float>(bits[i]));
    if (!std::isfinite(out[i]) || (out[i] == 0 && std::signbit(out[i])))
      refuse_state(name, fmt::format("element {} is {}, not a number it can hold", i, out[i]));
  }
  return out;
}

}  // namespace ra::index
