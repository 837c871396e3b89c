// SPDX-License-Identifier: Apache-2.0
#include "lib/bench/haystack.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "lib/core/error.h"

namespace ra::bench {
namespace {

std::size_t size(auto n) { return static_cast<std::size_t>(n); }

}  // namespace

Haystack hide(std::span<const std::int32_t> text, std::int64_t length,
              std::span<const Hidden> hidden, const std::function<bool(std::int64_t)>& is_break) {
  std::int64_t total = 0;
  for (const Hidden& h : hidden) total += std::ssize(h.ids);
  if (2 * total > length)
    fail_usage("-c", fmt::format("{} tokens to hide in {}: more than half of them", total, length),
               "a longer context, or fewer needles");
  Haystack out;
  out.text_used = length - total;
  RA_CHECK(out.text_used <= std::ssize(text));
  std::vector<std::size_t> order(hidden.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return hidden[a].depth < hidden[b].depth; });

  // Nearest break to `target` behind `last`.
  const std::int64_t slack = length / 32;
  const auto place = [&](std::int64_t target, std::int64_t last) {
    const auto free = [&](std::int64_t p) {
      return p > last && p <= out.text_used && (p == 0 || p == out.text_used || is_break(p));
    };
    for (std::int64_t d = 0; d <= slack; ++d) {
      if (free(target - d)) return target - d;
      if (free(target + d)) return target + d;
    }
    return target;
  };

  out.positions.resize(hidden.size());
  std::int64_t taken = 0, last = -1;  // of the text
  for (const std::size_t i : order) {
    const auto wanted =
        std::llround(hidden[i].depth * static_cast<double>(length)) - std::ssize(out.ids);
    const std::int64_t target = std::clamp<std::int64_t>(taken + wanted, taken, out.text_used);
    const std::int64_t at = place(target, last);
    const auto before = text.subspan(size(taken), size(at - taken));
    out.ids.insert(out.ids.end(), before.begin(), before.end());
    out.positions[i] = std::ssize(out.ids);
    out.ids.insert(out.ids.end(), hidden[i].ids.begin(), hidden[i].ids.end());
    taken = last = at;
  }
  const auto rest = text.subspan(size(taken), size(out.text_used - taken));
  out.ids.insert(out.ids.end(), rest.begin(), rest.end());
  return out;
}

}  // namespace ra::bench
