// SPDX-License-Identifier: Apache-2.0
// Exact attention on the device (kernels/attend.h): decode over up to two ranges of keys, split
// between blocks and merged by log-sum-exp; causal tiles with online softmax for prefill.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

#include "kernels/attend.h"

namespace ra::cuda {

constexpr std::size_t kMostHeadDim = 256;  // of keys and of values

// Keys and values of all KV heads of a layer: k [kv_heads, capacity, head_dim], v [kv_heads,
// capacity, value_dim], contiguous, f32 or bf16.
struct DeviceKeys {
  const void* k = nullptr;
  const void* v = nullptr;
  kernels::KvType type = kernels::KvType::kBf16;
  std::size_t kv_heads = 0, capacity = 0, head_dim = 0, value_dim = 0;
};

struct KeyRange {
  std::size_t first = 0, count = 0;
};

// Partial results [parts], `acc` [parts, value_dim] (kernels/partial.h).
struct DevicePartials {
  float* max = nullptr;
  float* sum = nullptr;
  float* acc = nullptr;
};

// Attention of the query heads q [kv_heads * group, head_dim] of one token to the keys of two
// disjoint ranges; or, with `ids`, of head h to keys of its own, keys[0].first + ids[h * id_stride
// + i], i < keys[0].count, and keys[1] is empty. Part (head, split) lies at head * part_stride +
// split; split s has keys s * split_keys .. + split_keys of both ranges put together.
struct AttendDecodeArgs {
  const float* q = nullptr;
  std::size_t group = 0;
  DeviceKeys kv;
  KeyRange keys[2];
  const std::uint32_t* ids = nullptr;
  std::size_t id_stride = 0;
  float scale = 1;
  std::size_t splits = 1, split_keys = 0;
  DevicePartials out;
  std::size_t part_stride = 1;
};
void attend_decode(cudaStream_t stream, const AttendDecodeArgs& a);
// Blocks of one split: what KeySplits (grid.h) needs. Heads with keys of their own are kv_heads
// with a group of 1 here.
std::size_t attend_decode_blocks(std::size_t kv_heads, std::size_t group);

// The parts of each head as one: head h of `out` from parts h * splits .. + splits, in order, not
// divided by its sum (at most those of two KeySplits); or, with `finished`, divided: rows of it
// [heads, value_dim], and `out` unused.
struct MergeArgs {
  DevicePartials parts;
  std::size_t heads = 0, splits = 1, value_dim = 0;
  DevicePartials out;
  float* finished = nullptr;
};
void merge_partials(cudaStream_t stream, const MergeArgs& a);

// Row (t, h) at q + t * q_stride + h * head_dim, h < kv_heads * group, attends to the keys
// 0..pos0+t, or the last `window` of them; out likewise.
struct AttendCausalArgs {
  const float* q = nullptr;
  std::size_t q_stride = 0;
  std::size_t tokens = 0, group = 0, pos0 = 0, window = 0;
  DeviceKeys kv;
  float scale = 1;
  float* out = nullptr;
  std::size_t out_stride = 0;
};
void attend_causal(cudaStream_t stream, const AttendCausalArgs& a);

}  // namespace ra::cuda
