// SPDX-License-Identifier: Apache-2.0
// Inner products of a token's queries with the keys of a range (kernels/score.h): the scan of an
// exact search.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>

#include "kernels/cuda/attend.h"

namespace ra::cuda {

// Of head h of q [kv_heads * group, head_dim] with key keys.first + j: out[h * out_stride + j]. A
// key is read once for up to eight heads of its group. Products and sums in f32.
struct ScoreKeysArgs {
  const float* q = nullptr;
  std::size_t group = 0;
  DeviceKeys kv;  // of which values are not read
  KeyRange keys;
  float* out = nullptr;
  std::size_t out_stride = 0;
};
void score_keys(cudaStream_t stream, const ScoreKeysArgs& a);

}  // namespace ra::cuda
