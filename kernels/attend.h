// SPDX-License-Identifier: Apache-2.0
// Exact attention of the query heads of one KV head: a partial result over any subset of the keys
// (decode), and causal tiles with online softmax (prefill). No n x n matrix is ever built.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/level.h"
#include "kernels/partial.h"
#include "kernels/types.h"

namespace ra::kernels {

enum class KvType : std::uint8_t { kF32, kBf16, kInt8 };

// A row of `dim` elements in memory. kInt8: dim int8, then their scale as f32, not aligned; the
// element is int8 * scale.
RA_ALWAYS_INLINE std::size_t row_bytes(KvType type, std::size_t dim) {
  return type == KvType::kF32 ? 4 * dim : type == KvType::kBf16 ? 2 * dim : dim + 4;
}

// Keys and values of one KV head, row-major: k [n, head_dim], v [n, value_dim], rows contiguous.
struct KvRows {
  const void* k = nullptr;
  const void* v = nullptr;
  KvType type = KvType::kBf16;
  std::size_t head_dim = 0, value_dim = 0;  // kF32: any; else at most kMaxHeadDim
  const float* k_gain = nullptr;  // kInt8: [head_dim], key element i is int8 * scale * k_gain[i]
};
inline constexpr std::size_t kMaxHeadDim = 1024;

// Partial softmax attention of `group` query rows over `n` keys: rows first..first+n, or, if `ids`
// is set, rows ids[0..n). Each key and value is read once for the whole group. out[g].acc
// (value_dim floats, zeroed or holding an earlier partial of disjoint keys) is merged into.
struct PartialArgs {
  const float* q = nullptr;  // [group, head_dim]
  std::size_t q_stride = 0, group = 0;
  KvRows kv;
  const std::uint32_t* ids = nullptr;
  std::size_t first = 0, n = 0;
  float scale = 1;
  Partial* out = nullptr;  // [group]
  bool exact_f32 = false;  // f32 products throughout; otherwise, with bf16 rows, the level may
                           // round q and the softmax weights to bf16
};

// Causal attention of `tokens` consecutive positions pos0..pos0+tokens-1: row t of query head g
// attends to keys 0..pos0+t, or, with a sliding window, to the last `window` of them. q and out:
// row (t, g) at data + t * stride + g * head_dim/value_dim. Keys that no row attends to are not
// read.
struct CausalArgs {
  const float* q = nullptr;
  std::size_t q_stride = 0;
  std::size_t tokens = 0, group = 0, pos0 = 0;
  std::size_t window = 0;  // keys a row attends to, its own included; 0 = all before it
  KvRows kv;
  float scale = 1;
  float* out = nullptr;  // [tokens, group * value_dim], overwritten
  std::size_t out_stride = 0;
  bool exact_f32 = false;        // f32 products throughout; otherwise the level may round q and the
                                 // softmax weights to bf16
  std::byte* scratch = nullptr;  // causal_scratch_bytes(), 64-byte aligned
};
// First key that position `pos` attends to.
RA_ALWAYS_INLINE constexpr std::size_t first_key(std::size_t pos, std::size_t window) {
  return window == 0 || pos < window ? 0 : pos + 1 - window;
}
std::size_t causal_scratch_bytes(std::size_t tokens, std::size_t group, std::size_t head_dim,
                                 std::size_t value_dim);

template <Level L>
void attend_partial(const PartialArgs& a) noexcept;
template <>
void attend_partial<Level::kScalar>(const PartialArgs& a) noexcept;
template <>
void attend_partial<Level::kAvx2>(const PartialArgs& a) noexcept;
template <>
void attend_partial<Level::kAvx512>(const PartialArgs& a) noexcept;

template <Level L>
void attend_causal(const CausalArgs& a) noexcept;
template <>
void attend_causal<Level::kScalar>(const CausalArgs& a) noexcept;
template <>
void attend_causal<Level::kAvx2>(const CausalArgs& a) noexcept;
template <>
void attend_causal<Level::kAvx512>(const CausalArgs& a) noexcept;
template <>
void attend_causal<Level::kAmx>(const CausalArgs& a) noexcept;

}  // namespace ra::kernels
