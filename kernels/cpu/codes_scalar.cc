// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <limits>

#include "kernels/codes.h"
#include "kernels/cpu/encode_query.h"
#include "kernels/cpu/filter_codes.h"

namespace ra::kernels {
namespace {

int coordinate(const std::uint8_t* block, std::size_t key, std::size_t i, int bits) {
  if (bits == 8) return block[i / 4 * kCodeStepBytes + 4 * key + i % 4] - 128;
  const int byte = block[i / 8 * kCodeStepBytes + 4 * key + i % 4];
  return (i % 8 < 4 ? byte & 15 : byte >> 4) - 8;
}

// The sum of query g and column c of `out` as the rule of `a` wants it.
float score(const CodeArgs& a, std::size_t g, std::size_t c, float sum) {
  if (a.rule == nullptr) return sum;
  const ScoreRule& rule = *a.rule;
  const std::size_t i = (a.block(c / kCodeKeys) - a.first) * kCodeKeys + c % kCodeKeys;
  if (i >= rule.rows) return -std::numeric_limits<float>::infinity();
  if (rule.base != nullptr) sum = rule.base[g] + rule.unit[g] * sum;
  if (rule.spread != nullptr) sum += rule.gain[g] * rule.spread[i];
  if (rule.parts > 0) {
    float& best = rule.best[g * rule.parts + (rule.slot + c) % rule.parts];
    best = std::max(best, sum);
  }
  return sum;
}

}  // namespace

template <>
void score_codes<Level::kScalar>(const CodeArgs& a) noexcept {
  const std::size_t bytes = code_block_bytes(a.rank, a.bits);
  for (std::size_t j = 0; j < a.n; ++j) {
    const std::uint8_t* block = a.codes + a.block(j) * bytes;
    for (std::size_t g = 0; g < a.group; ++g)
      for (std::size_t key = 0; key < kCodeKeys; ++key) {
        int sum = 0;
        for (std::size_t i = 0; i < a.rank; ++i)
          sum += a.q[g * a.q_stride + i] * coordinate(block, key, i, a.bits);
        const std::size_t c = j * kCodeKeys + key;
        a.out[g * a.out_stride + c] = score(a, g, c, static_cast<float>(sum));
      }
  }
}

template <>
std::size_t codes_at_least<Level::kScalar>(const CodeArgs& a, const float* floors,
                                           std::uint32_t* rows) noexcept {
  return filter_scores<Level::kScalar>(a, floors, rows, [](const float* scores, float floor) {
    unsigned mask = 0;
    for (unsigned i = 0; i < kCodeKeys; ++i) mask |= (scores[i] >= floor ? 1u : 0u) << i;
    return mask;
  });
}

template <>
float encode_query<Level::kScalar>(const float* y, std::size_t n, std::int8_t* out) noexcept {
  return encode_query_plain(y, n, out);
}

}  // namespace ra::kernels
