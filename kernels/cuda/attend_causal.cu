// SPDX-License-Identifier: Apache-2.0
// Tiles of query rows against tiles of keys with online softmax (FlashAttention, arXiv 2205.14135).
// A row is one query head of one token; the heads of a group are rows of the same tile and share
// its keys.
#include "kernels/cuda/attend.h"
#include "kernels/cuda/key_rows.cuh"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/reduce.cuh"

namespace ra::cuda {
namespace {

constexpr unsigned kSide = 16, kThreads = kSide * kSide;

// A thread (ty, tx) has rows ty * kRows.. of the tile: their scores with keys tx, tx + 16 and
// columns tx * 4 + 64 * j of their output.
template <unsigned dim>
struct Tile {
  static constexpr unsigned kQueryRows = 4096 / dim, kKeys = 2048 / dim;
  static constexpr unsigned kRows = kQueryRows / kSide;
  static constexpr unsigned kKeysOfThread = (kKeys + kSide - 1) / kSide;
  static constexpr unsigned kQuads = dim / 64;
  static constexpr unsigned kStride = dim + 4;  // rows of a column lie in different banks
};

// Rows first .. first + count of [any, dim], `width` columns each, as f32; zeros past both ends.
template <unsigned dim, class T>
__device__ void load_rows(const T* rows, std::size_t first, unsigned count, unsigned most,
                          unsigned width, float (*out)[Tile<dim>::kStride]) {
  for (unsigned i = threadIdx.x; i < most * (dim / kChunk); i += kThreads) {
    const unsigned row = i / (dim / kChunk), column = i % (dim / kChunk) * kChunk;
    float v[kChunk] = {};
    if (row < count) load_chunk(rows + (first + row) * width, column, width, v);
    for (unsigned j = 0; j < kChunk; ++j) out[row][column + j] = v[j];
  }
}

template <class T, unsigned dim>
__global__ void __launch_bounds__(kThreads) attend_tile(AttendCausalArgs a) {
  using S = Tile<dim>;
  __shared__ __align__(16) float q[S::kQueryRows][S::kStride];
  __shared__ __align__(16) float k[S::kKeys][S::kStride], v[S::kKeys][S::kStride];
  __shared__ float weights[S::kQueryRows][S::kKeys + 1];
  const unsigned ty = threadIdx.x / kSide, tx = threadIdx.x % kSide;
  const auto head_dim = static_cast<unsigned>(a.kv.head_dim);
  const auto value_dim = static_cast<unsigned>(a.kv.value_dim);
  // The last tiles see the most keys and go first.
  const std::size_t tile = gridDim.x - 1 - blockIdx.x;
  const std::size_t first_row = tile * S::kQueryRows, all_rows = a.tokens * a.group;
  const std::size_t left = all_rows - first_row;
  const unsigned used = left < S::kQueryRows ? static_cast<unsigned>(left) : S::kQueryRows;

  const auto row_of = [&](std::size_t row, std::size_t stride, std::size_t width) {
    return row / a.group * stride + (blockIdx.y * a.group + row % a.group) * width;
  };
  for (unsigned i = threadIdx.x; i < S::kQueryRows * dim; i += kThreads) {
    const unsigned row = i / dim, column = i % dim;
    q[row][column] = row < used && column < head_dim
                         ? a.q[row_of(first_row + row, a.q_stride, head_dim) + column] * a.scale
                         : 0.0f;
  }

  std::size_t begin[S::kRows], end[S::kRows];  // keys of each row
  float max[S::kRows], sum[S::kRows], acc[S::kRows][S::kQuads][4];
#pragma unroll
  for (unsigned r = 0; r < S::kRows; ++r) {
    const std::size_t row = first_row + ty * S::kRows + r;
    const std::size_t pos = a.pos0 + (row < all_rows ? row : all_rows - 1) / a.group;
    begin[r] = kernels::first_key(pos, a.window);
    end[r] = pos + 1;
    max[r] = -INFINITY, sum[r] = 0;
#pragma unroll
    for (unsigned j = 0; j < S::kQuads; ++j)
      for (unsigned i = 0; i < 4; ++i) acc[r][j][i] = 0;
  }

  const std::size_t tile_begin = kernels::first_key(a.pos0 + first_row / a.group, a.window);
  const std::size_t tile_end = a.pos0 + (first_row + used - 1) / a.group + 1;
  const std::size_t k_head = blockIdx.y * a.kv.capacity;
  for (std::size_t key0 = tile_begin; key0 < tile_end; key0 += S::kKeys) {
    const std::size_t keys_left = tile_end - key0;
    const unsigned keys = keys_left < S::kKeys ? static_cast<unsigned>(keys_left) : S::kKeys;
    __syncthreads();  // the keys and weights of the last round have been used
    load_rows<dim>(static_cast<const T*>(a.kv.k), k_head + key0, keys, S::kKeys, head_dim, k);
    load_rows<dim>(static_cast<const T*>(a.kv.v), k_head + key0, keys, S::kKeys, value_dim, v);
    __syncthreads();

    float score[S::kRows][S::kKeysOfThread] = {};
    for (unsigned d = 0; d < dim; d += 4) {
      float4 key[S::kKeysOfThread];
#pragma unroll
      for (unsigned c = 0; c < S::kKeysOfThread; ++c) {
        const unsigned at = tx + c * kSide;
        key[c] = *reinterpret_cast<const float4*>(&k[at < S::kKeys ? at : 0][d]);
      }
#pragma unroll
      for (unsigned r = 0; r < S::kRows; ++r) {
        const float4 query = *reinterpret_cast<const float4*>(&q[ty * S::kRows + r][d]);
#pragma unroll
        for (unsigned c = 0; c < S::kKeysOfThread; ++c)
          score[r][c] +=
              query.x * key[c].x + query.y * key[c].y + query.z * key[c].z + query.w * key[c].w;
      }
    }

#pragma unroll
    for (unsigned r = 0; r < S::kRows; ++r) {
      bool seen[S::kKeysOfThread];
      float highest = max[r];
#pragma unroll
      for (unsigned c = 0; c < S::kKeysOfThread; ++c) {
        const unsigned at = tx + c * kSide;
        seen[c] = at < keys && key0 + at >= begin[r] && key0 + at < end[r];
        if (seen[c] && score[r][c] > highest) highest = score[r][c];
      }
      highest = warp_max<kSide>(highest);
      const float keep = rescale(max[r], highest);
      max[r] = highest;
      float round_sum = 0;
#pragma unroll
      for (unsigned c = 0; c < S::kKeysOfThread; ++c) {
        const unsigned at = tx + c * kSide;
        const float weight = seen[c] ? __expf(score[r][c] - highest) : 0.0f;
        if (at < S::kKeys) weights[ty * S::kRows + r][at] = weight;
        round_sum += weight;
      }
      sum[r] = sum[r] * keep + warp_sum<kSide>(round_sum);
#pragma unroll
      for (unsigned j = 0; j < S::kQuads; ++j)
        for (unsigned i = 0; i < 4; ++i) acc[r][j][i] *= keep;
    }
    __syncthreads();

    for (unsigned c = 0; c < keys; ++c) {
      float weight[S::kRows];
#pragma unroll
      for (unsigned r = 0; r < S::kRows; ++r) weight[r] = weights[ty * S::kRows + r][c];
#pragma unroll
      for (unsigned j = 0; j < S::kQuads; ++j) {
        const float4 value = *reinterpret_cast<const float4*>(&v[c][tx * 4 + 64 * j]);
#pragma unroll
        for (unsigned r = 0; r < S::kRows; ++r) {
          acc[r][j][0] += weight[r] * value.x;
          acc[r][j][1] += weight[r] * value.y;
          acc[r][j][2] += weight[r] * value.z;
          acc[r][j][3] += weight[r] * value.w;
        }
      }
    }
  }

#pragma unroll
  for (unsigned r = 0; r < S::kRows; ++r) {
    const unsigned row = ty * S::kRows + r;
    if (row >= used) continue;
    float* out = a.out + row_of(first_row + row, a.out_stride, value_dim);
#pragma unroll
    for (unsigned j = 0; j < S::kQuads; ++j)
      for (unsigned i = 0; i < 4; ++i) {
        const unsigned column = tx * 4 + 64 * j + i;
        if (column < value_dim) out[column] = acc[r][j][i] / sum[r];
      }
  }
}

template <class T, unsigned dim>
void launch_tiles(cudaStream_t stream, const AttendCausalArgs& a) {
  const auto tiles =
      static_cast<unsigned>(divide_up<std::size_t>(a.tokens * a.group, Tile<dim>::kQueryRows));
  launch(stream, {tiles, static_cast<unsigned>(a.kv.kv_heads)}, {kThreads}, attend_tile<T, dim>, a);
}

template <class T>
void launch_dim(cudaStream_t stream, const AttendCausalArgs& a) {
  const std::size_t dim = std::max(a.kv.head_dim, a.kv.value_dim);
  if (dim <= 64) return launch_tiles<T, 64>(stream, a);
  if (dim <= 128) return launch_tiles<T, 128>(stream, a);
  launch_tiles<T, 256>(stream, a);
}

}  // namespace

void attend_causal(cudaStream_t stream, const AttendCausalArgs& a) {
  if (a.tokens == 0) return;
  if (a.kv.type == kernels::KvType::kF32)
    launch_dim<float>(stream, a);
  else
    launch_dim<bf16>(stream, a);
}

}  // namespace ra::cuda
