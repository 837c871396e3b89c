// SPDX-License-Identifier: Apache-2.0
// Hides short runs of tokens in a long one.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace ra::bench {

struct Hidden {
  double depth = 0;  // 0..1 of the haystack's length
  std::vector<std::int32_t> ids;
};

struct Haystack {
  std::vector<std::int32_t> ids;
  std::vector<std::int64_t> positions;  // where hidden[i] begins
  std::int64_t text_used = 0;           // ids are the first ones of the text, beside what is hidden
};

// `length` tokens: the beginning of `text` with every `hidden` in it as near to its depth as a
// break of the text allows; if no break lies within 1/32 of the length, at the depth itself. No two
// share a break if there are others near. `is_break(p)`: something may stand between text[p - 1]
// and text[p], 0 < p < text.size(). Requires text.size() >= length. Throws Error{kUsage} if what is
// hidden would be more than half of it.
Haystack hide(std::span<const std::int32_t> text, std::int64_t length,
              std::span<const Hidden> hidden, const std::function<bool(std::int64_t)>& is_break);

}  // namespace ra::bench
