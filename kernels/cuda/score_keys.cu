// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/key_rows.cuh"
#include "kernels/cuda/key_teams.cuh"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/reduce.cuh"
#include "kernels/cuda/score_keys.h"

namespace ra::cuda {
namespace {

constexpr unsigned kWarps = 4;
constexpr unsigned kStrip = kWarpSize;  // keys whose scores a warp writes together
constexpr unsigned kStrips = 2;         // of each warp, for one reading of the queries

// blockIdx: strips of all warps, KV head, tile of query heads.
template <class T, unsigned lanes, unsigned rows>
__global__ void __launch_bounds__(kWarps* kWarpSize) score_strips(ScoreKeysArgs a) {
  constexpr unsigned kTeams = kWarpSize / lanes;
  __shared__ float strips[kWarps][rows][kStrip + 1];
  const auto head_dim = static_cast<unsigned>(a.kv.head_dim);
  const unsigned warp = threadIdx.x / kWarpSize, lane = threadIdx.x % kWarpSize;
  const unsigned team = lane / lanes, column = lane % lanes * kChunk;
  const std::size_t first_row = std::size_t{blockIdx.z} * rows;
  const std::size_t first_head = blockIdx.y * a.group + first_row;
  const std::size_t left = a.group - first_row;
  const unsigned used = left < rows ? static_cast<unsigned>(left) : rows;
  const T* keys =
      static_cast<const T*>(a.kv.k) + (blockIdx.y * a.kv.capacity + a.keys.first) * head_dim;

  float q[rows][kChunk];
#pragma unroll
  for (unsigned r = 0; r < rows; ++r) {
    const unsigned row = r < used ? r : 0;  // a row too many repeats the first and is dropped
    load_chunk(a.q + (first_head + row) * head_dim, column, head_dim, q[r]);
  }

  for (unsigned s = 0; s < kStrips; ++s) {
    const std::size_t first =
        ((std::size_t{blockIdx.x} * kStrips + s) * kWarps + warp) * std::size_t{kStrip};
    if (first >= a.keys.count) return;  // whole warps
#pragma unroll 4
    for (unsigned i = team; i < kStrip; i += kTeams) {
      const std::size_t j = first + i;
      float key[kChunk], dots[rows];
      load_chunk(keys + (j < a.keys.count ? j : first) * head_dim, column, head_dim, key);
#pragma unroll
      for (unsigned r = 0; r < rows; ++r) {
        dots[r] = 0;
#pragma unroll
        for (unsigned e = 0; e < kChunk; ++e) dots[r] += q[r][e] * key[e];
      }
      const float score = scattered_sums<lanes>(dots);
      if (lane % lanes < rows) strips[warp][lane % lanes][i] = score;
    }
    __syncwarp();
    if (first + lane < a.keys.count)
      for (unsigned r = 0; r < used; ++r)
        a.out[(first_head + r) * a.out_stride + first + lane] = strips[warp][r][lane];
    __syncwarp();  // the next strip writes to the same place
  }
}

}  // namespace

void score_keys(cudaStream_t stream, const ScoreKeysArgs& a) {
  if (a.keys.count == 0) return;
  const unsigned rows = tile_rows(a.group);
  const std::size_t block_keys = std::size_t{kStrips} * kWarps * kStrip;
  const dim3 grid(static_cast<unsigned>(divide_up(a.keys.count, block_keys)),
                  static_cast<unsigned>(a.kv.kv_heads),
                  static_cast<unsigned>(divide_up<std::size_t>(a.group, rows)));
  with_teams(a.kv.type, a.kv.head_dim, rows, [&]<class T, unsigned lanes, unsigned tile>() {
    launch(stream, grid, {kWarps * kWarpSize}, score_strips<T, lanes, tile>, a);
  });
}

}  // namespace ra::cuda
