// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/attend.h"
#include "kernels/cuda/key_rows.cuh"
#include "kernels/cuda/key_teams.cuh"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/reduce.cuh"

namespace ra::cuda {
namespace {

constexpr unsigned kWarps = 4;

// Every team keeps its own online softmax of up to `rows` query heads; teams, then warps, are
// merged at the end. blockIdx: split, KV head, tile of query heads; of `listed` keys: split, query
// head.
template <class T, unsigned lanes, unsigned rows, bool listed>
__global__ void __launch_bounds__(kWarps* kWarpSize) attend_split(AttendDecodeArgs a) {
  constexpr unsigned kTeams = kWarpSize / lanes, kWidth = lanes * kChunk;
  __shared__ float shared_max[kWarps][rows], shared_sum[kWarps][rows];
  __shared__ float shared_acc[kWarps][rows][kWidth];
  const auto head_dim = static_cast<unsigned>(a.kv.head_dim);
  const auto value_dim = static_cast<unsigned>(a.kv.value_dim);
  const unsigned warp = threadIdx.x / kWarpSize, lane = threadIdx.x % kWarpSize;
  const unsigned team = lane / lanes, column = lane % lanes * kChunk;
  const std::size_t group = listed ? 1 : a.group;  // that shares its keys
  const std::size_t kv_head = listed ? blockIdx.y / a.group : blockIdx.y;
  const std::size_t first_row = std::size_t{blockIdx.z} * rows;
  const std::size_t first_head = blockIdx.y * group + first_row;
  const std::size_t left = group - first_row;
  const unsigned used = left < rows ? static_cast<unsigned>(left) : rows;
  const T* k = static_cast<const T*>(a.kv.k) + kv_head * a.kv.capacity * head_dim;
  const T* v = static_cast<const T*>(a.kv.v) + kv_head * a.kv.capacity * value_dim;

  float q[rows][kChunk], acc[rows][kChunk], max[rows], sum[rows];
#pragma unroll
  for (unsigned r = 0; r < rows; ++r) {
    const unsigned row = r < used ? r : 0;  // a row too many repeats the first and is dropped
    load_chunk(a.q + (first_head + row) * head_dim, column, head_dim, q[r]);
    max[r] = -INFINITY, sum[r] = 0;
#pragma unroll
    for (unsigned i = 0; i < kChunk; ++i) q[r][i] *= a.scale, acc[r][i] = 0;
  }

  const std::size_t total = a.keys[0].count + a.keys[1].count;
  const std::size_t begin = blockIdx.x * a.split_keys;
  const std::size_t end = begin + a.split_keys < total ? begin + a.split_keys : total;
  // Every lane of a warp makes the same number of rounds, as all of them take part in the sums.
  for (std::size_t round = begin + warp * kTeams; round < end; round += kWarps * kTeams) {
    const std::size_t j = round + team;
    const bool valid = j < end;
    const std::size_t at = valid ? j : begin;
    const std::size_t key = listed ? a.keys[0].first + a.ids[blockIdx.y * a.id_stride + at]
                            : at < a.keys[0].count ? a.keys[0].first + at
                                                   : a.keys[1].first + (at - a.keys[0].count);
    float key_chunk[kChunk], value_chunk[kChunk];
    load_chunk(k + key * head_dim, column, head_dim, key_chunk);
    load_chunk(v + key * value_dim, column, value_dim, value_chunk);
#pragma unroll
    for (unsigned r = 0; r < rows; ++r) {
      float dot = 0;
#pragma unroll
      for (unsigned i = 0; i < kChunk; ++i) dot += q[r][i] * key_chunk[i];
      const float logit = warp_sum<lanes>(dot);
      if (!valid) continue;
      if (logit > max[r]) {
        const float keep = rescale(max[r], logit);
        sum[r] *= keep;
#pragma unroll
        for (unsigned i = 0; i < kChunk; ++i) acc[r][i] *= keep;
        max[r] = logit;
      }
      const float weight = __expf(logit - max[r]);
      sum[r] += weight;
#pragma unroll
      for (unsigned i = 0; i < kChunk; ++i) acc[r][i] += weight * value_chunk[i];
    }
  }

#pragma unroll
  for (unsigned r = 0; r < rows; ++r) {  // teams of the warp
    float common = max[r];
#pragma unroll
    for (unsigned step = lanes; step < kWarpSize; step *= 2) {
      const float other = __shfl_xor_sync(kAllLanes, common, static_cast<int>(step));
      common = other > common ? other : common;
    }
    const float keep = rescale(max[r], common);
    sum[r] *= keep;
#pragma unroll
    for (unsigned i = 0; i < kChunk; ++i) acc[r][i] *= keep;
#pragma unroll
    for (unsigned step = lanes; step < kWarpSize; step *= 2) {
      sum[r] += __shfl_xor_sync(kAllLanes, sum[r], static_cast<int>(step));
#pragma unroll
      for (unsigned i = 0; i < kChunk; ++i)
        acc[r][i] += __shfl_xor_sync(kAllLanes, acc[r][i], static_cast<int>(step));
    }
    if (team == 0) {
#pragma unroll
      for (unsigned i = 0; i < kChunk; ++i) shared_acc[warp][r][column + i] = acc[r][i];
    }
    if (lane == 0) shared_max[warp][r] = common, shared_sum[warp][r] = sum[r];
  }
  __syncthreads();

  for (unsigned r = 0; r < used; ++r) {  // warps of the block
    float common = -INFINITY, total_sum = 0, keep[kWarps];
    for (unsigned w = 0; w < kWarps; ++w)
      common = shared_max[w][r] > common ? shared_max[w][r] : common;
    for (unsigned w = 0; w < kWarps; ++w) {
      keep[w] = rescale(shared_max[w][r], common);
      total_sum += keep[w] * shared_sum[w][r];
    }
    const std::size_t part = (first_head + r) * a.part_stride + blockIdx.x;
    for (unsigned i = threadIdx.x; i < value_dim; i += blockDim.x) {
      float value = 0;
      for (unsigned w = 0; w < kWarps; ++w) value += keep[w] * shared_acc[w][r][i];
      a.out.acc[part * value_dim + i] = value;
    }
    if (threadIdx.x == 0) a.out.max[part] = common, a.out.sum[part] = total_sum;
  }
}

}  // namespace

std::size_t attend_decode_blocks(std::size_t kv_heads, std::size_t group) {
  return kv_heads * divide_up<std::size_t>(group, tile_rows(group));
}

void attend_decode(cudaStream_t stream, const AttendDecodeArgs& a) {
  const bool listed = a.ids != nullptr;
  const unsigned rows = tile_rows(listed ? 1 : a.group);
  const std::size_t heads = a.kv.kv_heads * a.group;
  const dim3 grid(static_cast<unsigned>(a.splits),
                  static_cast<unsigned>(listed ? heads : a.kv.kv_heads),
                  static_cast<unsigned>(listed ? 1 : divide_up<std::size_t>(a.group, rows)));
  const dim3 block(kWarps * kWarpSize);
  with_teams(a.kv.type, std::max(a.kv.head_dim, a.kv.value_dim), rows,
             [&]<class T, unsigned lanes, unsigned tile>() {
               if (!listed)
                 return launch(stream, grid, block, attend_split<T, lanes, tile, false>, a);
               if constexpr (tile == 1)
                 launch(stream, grid, block, attend_split<T, lanes, 1, true>, a);
             });
}

}  // namespace ra::cuda
