// SPDX-License-Identifier: Apache-2.0
// One block a row or piece of it. The k-th best rank is found byte by byte (radix select); then
// those not below it are gathered and sorted.
#include "kernels/cuda/launch.h"
#include "kernels/cuda/rank.cuh"
#include "kernels/cuda/reduce.cuh"
#include "kernels/cuda/topk.h"

namespace ra::cuda {
namespace {

constexpr unsigned kThreads = 256, kBins = 256;

struct Row {
  const float* scores;
  const std::uint32_t* ids;
  std::uint32_t first_id;
  std::size_t n;
  __device__ Rank rank(std::size_t i) const {
    return rank_of(scores[i], ids != nullptr ? ids[i] : first_id + static_cast<std::uint32_t>(i));
  }
};

// The bytes of the k-th largest rank from the top down, as far as needed: exactly k ranks are >=
// it.
__device__ Rank kth_rank(const Row& row, unsigned k) {
  __shared__ unsigned count[kBins];
  __shared__ Rank prefix;
  __shared__ unsigned wanted;
  __shared__ bool done;
  if (threadIdx.x == 0) prefix = 0, wanted = k, done = false;
  for (unsigned shift = 56;; shift -= 8) {
    count[threadIdx.x] = 0;
    __syncthreads();
    const Rank above = shift == 56 ? 0 : prefix >> (shift + 8);
    for (std::size_t i = threadIdx.x; i < row.n; i += kThreads) {
      const Rank rank = row.rank(i);
      if (shift == 56 || rank >> (shift + 8) == above) atomicAdd(&count[rank >> shift & 255u], 1u);
    }
    __syncthreads();
    if (threadIdx.x == 0) {
      unsigned bin = kBins - 1, larger = 0;
      while (larger + count[bin] < wanted) larger += count[bin--];
      wanted -= larger;
      prefix |= static_cast<Rank>(bin) << shift;
      done = count[bin] == wanted || shift == 0;
    }
    __syncthreads();
    if (done) return prefix;
  }
}

// `size` ranks, a power of two, in descending order (bitonic).
__device__ void sort_descending(Rank* ranks, unsigned size) {
  for (unsigned run = 2; run <= size; run *= 2)
    for (unsigned step = run / 2; step > 0; step /= 2) {
      __syncthreads();
      for (unsigned i = threadIdx.x; i < size; i += kThreads) {
        const unsigned j = i ^ step;
        if (j <= i) continue;
        const bool descending = (i & run) == 0;
        const Rank a = ranks[i], b = ranks[j];
        if ((a < b) == descending) ranks[i] = b, ranks[j] = a;
      }
    }
  __syncthreads();
}

__global__ void __launch_bounds__(kThreads) topk_row(TopkArgs a) {
  __shared__ Rank best[kMostTopk];
  __shared__ unsigned found;
  const std::size_t begin = blockIdx.y * a.piece, first = blockIdx.x * a.score_stride + begin;
  const std::size_t n = a.n - begin < a.piece ? a.n - begin : a.piece;
  const Row row{a.scores + first, a.ids != nullptr ? a.ids + first : nullptr,
                a.first_id + static_cast<std::uint32_t>(begin), n};
  const auto width = static_cast<unsigned>(a.k < a.piece ? a.k : a.piece);
  const auto k = n < width ? static_cast<unsigned>(n) : width;
  unsigned size = 1;
  while (size < k) size *= 2;
  if (threadIdx.x == 0) found = 0;
  for (unsigned i = threadIdx.x; i < size; i += kThreads) best[i] = 0;
  const Rank floor = kth_rank(row, k);  // its barriers come before the first use of `found`
  for (std::size_t i = threadIdx.x; i < row.n; i += kThreads)
    if (const Rank rank = row.rank(i); rank >= floor) best[atomicAdd(&found, 1u)] = rank;
  sort_descending(best, size);
  const std::size_t to = blockIdx.x * a.out_stride + std::size_t{blockIdx.y} * width;
  for (unsigned i = threadIdx.x; i < width; i += kThreads) {
    const Rank rank = i < k ? best[i] : 0;
    a.out_ids[to + i] = id_of(rank);
    a.out_scores[to + i] = score_of(rank);
  }
}

__global__ void best_of_row(BestColumnArgs a) {
  const std::size_t row =
      blockIdx.x * std::size_t{blockDim.x / kWarpSize} + threadIdx.x / kWarpSize;
  if (row >= a.rows) return;  // whole warps
  const float* scores = a.scores + row * a.score_stride;
  const unsigned lane = threadIdx.x % kWarpSize;
  Rank best = 0;
  for (std::size_t c = lane; c < a.n; c += kWarpSize) {
    const Rank rank =
        rank_of(scores[c] + (a.bias != nullptr ? a.bias[c] : 0.0f), static_cast<std::uint32_t>(c));
    best = rank > best ? rank : best;
  }
  for (unsigned step = kWarpSize / 2; step > 0; step /= 2) {
    const Rank other = __shfl_xor_sync(kAllLanes, best, static_cast<int>(step));
    best = other > best ? other : best;
  }
  if (lane == 0) a.out_ids[row] = id_of(best), a.out_scores[row] = score_of(best);
}

}  // namespace

void topk(cudaStream_t stream, const TopkArgs& a) {
  if (a.rows == 0 || a.n == 0 || a.k == 0) return;
  TopkArgs pieces = a;
  if (a.piece == 0) pieces.piece = a.n;
  const dim3 grid(static_cast<unsigned>(a.rows),
                  static_cast<unsigned>(divide_up(a.n, pieces.piece)));
  launch(stream, grid, {kThreads}, topk_row, pieces);
}

void best_column(cudaStream_t stream, const BestColumnArgs& a) {
  constexpr unsigned kWarps = 4;
  if (a.rows > 0 && a.n > 0)
    launch(stream, {static_cast<unsigned>(divide_up<std::size_t>(a.rows, kWarps))},
           {kWarps * kWarpSize}, best_of_row, a);
}

}  // namespace ra::cuda
