// SPDX-License-Identifier: Apache-2.0
#include "lib/model/exact_attention.h"

#include <algorithm>
#include <chrono>

#include "kernels/ops.h"
#include "lib/core/error.h"
#include "lib/core/parallel.h"

namespace ra::model {
namespace {

// Query rows (tokens x group) of one prefill tile: the more, the less packing K and V weighs; 1024
// are what the kernel takes at once.
constexpr std::size_t kTileRows = 1024;
// Tokens of a tile are a multiple of this: the kernels take query rows 32 at a time, and so the
// same rows are taken together, and sums have the same bits, whatever the tile.
constexpr std::size_t kTokenStep = 32;
// Keys of one decode task: small enough to share between threads, large enough to be worth a task.
constexpr std::size_t kSplitKeys = 1024;

using Clock = std::chrono::steady_clock;

// Tokens of a prefill tile: the tallest that leaves every thread two tiles. Where there are windows
// a tile's first key, and with it the order of its sums, depends on its first token: there the tile
// does not depend on the threads.
std::size_t tile_tokens(std::size_t tokens, std::size_t group, std::size_t kv_heads, bool window) {
  std::size_t tile = std::max(kTokenStep, kTileRows / group / kTokenStep * kTokenStep);
  const auto tiles = [&] { return kv_heads * ((tokens + tile - 1) / tile); };
  while (!window && tile > kTokenStep && tiles() < 2 * static_cast<std::size_t>(threads()))
    tile = std::max(kTokenStep, tile / 2 / kTokenStep * kTokenStep);
  return tile;
}

double ms(Clock::duration d) { return std::chrono::duration<double, std::milli>(d).count(); }

std::size_t size(auto n) { return static_cast<std::size_t>(n); }

// Of one position of all KV heads.
std::int64_t row_bytes(const KvCache::Shape& s) {
  return std::int64_t{s.kv_heads} *
         static_cast<std::int64_t>(kernels::row_bytes(s.type, size(s.head_dim)) +
                                   kernels::row_bytes(s.type, size(s.value_dim)));
}

}  // namespace

AttendStats ExactAttention::attend(const AttendInput& in, MatView<float> out) {
  return in.q.rows == 1 ? decode(in, out) : prefill(in, out);
}

AttendStats ExactAttention::prefill(const AttendInput& in, MatView<float> out) {
  const auto start = Clock::now();
  const KvCache::Shape& shape = in.cache->shape();
  const std::size_t kv_heads = size(shape.kv_heads), head_dim = size(shape.head_dim),
                    value_dim = size(shape.value_dim);
  const std::size_t group = in.q.cols / (kv_heads * head_dim);
  RA_CHECK(size(in.pos) + in.q.rows <= size(in.cache->size(in.layer)));
  RA_CHECK(out.cols == kv_heads * group * value_dim);
  const std::size_t tile = tile_tokens(in.q.rows, group, kv_heads, in.window > 0);
  const std::size_t tiles = (in.q.rows + tile - 1) / tile;
  scratch_.resize(size(threads()));
  const std::size_t bytes = kernels::causal_scratch_bytes(tile, group, head_dim, value_dim);
  for (auto& buffer : scratch_) buffer.reserve_discard(bytes);
  parallel_for(kv_heads * tiles, [&](std::size_t task, int thread) {
    // The last tiles see the most keys and go first, so no thread is left with a long one.
    const std::size_t h = task % kv_heads, first = (tiles - 1 - task / kv_heads) * tile;
    kernels::ops().attend_causal({.q = in.q.row(first) + h * group * head_dim,
                                  .q_stride = in.q.stride,
                                  .tokens = std::min(tile, in.q.rows - first),
                                  .group = group,
                                  .pos0 = size(in.pos) + first,
                                  .window = size(in.window),
                                  .kv = in.cache->rows(in.layer, static_cast<int>(h)),
                                  .scale = in.scale,
                                  .out = out.row(first) + h * group * value_dim,
                                  .out_stride = out.stride,
                                  .exact_f32 = compute_ == Compute::kF32,
                                  .scratch = scratch_[size(thread)].data()});
  });
  AttendStats stats;
  stats.static_ms = stats.static_busy_ms = ms(Clock::now() - start);
  for (std::size_t first = 0; first < in.q.rows; first += tile) {  // each tile reads its keys once
    const std::size_t pos = size(in.pos), end = std::min(first + tile, in.q.rows);
    stats.bytes +=
        row_bytes(shape) *
        static_cast<std::int64_t>(pos + end - kernels::first_key(pos + first, size(in.window)));
  }
  return stats;
}

AttendStats ExactAttention::decode(const AttendInput& in, MatView<float> out) {
  const auto start = Clock::now();
  const KvCache::Shape& shape = in.cache->shape();
  const std::size_t kv_heads = size(shape.kv_heads), head_dim = size(shape.head_dim),
                    value_dim = size(shape.value_dim);
  const std::size_t group = in.q.cols / (kv_heads * head_dim);
  const std::size_t begin = kernels::first_key(size(in.pos), size(in.window)),
                    keys = size(in.pos) + 1 - begin;
  RA_CHECK(begin + keys <= size(in.cache->size(in.layer)));
  RA_CHECK(out.cols == kv_heads * group * value_dim);
  const std::size_t splits = (keys + kSplitKeys - 1) / kSplitKeys;
  const std::size_t parts = kv_heads * splits * group;
  acc_.reserve_discard(parts * value_dim);
  std::fill_n(acc_.data(), parts * value_dim, 0.0f);
  parts_.resize(parts);
  for (std::size_t i = 0; i < parts; ++i) parts_[i] = {.acc = acc_.data() + i * value_dim};
  parallel_for(kv_heads * splits, [&](std::size_t task, int) {
    const std::size_t h = task / splits, first = task % splits * kSplitKeys;
    kernels::ops().attend_partial({.q = in.q.row(0) + h * group * head_dim,
                                   .q_stride = head_dim,
                                   .group = group,
                                   .kv = in.cache->rows(in.layer, static_cast<int>(h)),
                                   .first = begin + first,
                                   .n = std::min(kSplitKeys, keys - first),
                                   .scale = in.scale,
                                   .out = &parts_[task * group],
                                   .exact_f32 = compute_ == Compute::kF32});
  });
  const auto merge_start = Clock::now();
  for (std::size_t h = 0; h < kv_heads; ++h)
    for (std::size_t g = 0; g < group; ++g) {
      kernels::Partial& sum = parts_[h * splits * group + g];
      for (std::size_t s = 1; s < splits; ++s)
        kernels::merge(sum, parts_[(h * splits + s) * group + g], value_dim);
      kernels::finish(sum, out.row(0) + (h * group + g) * value_dim, value_dim);
    }
  const auto end = Clock::now();
  AttendStats stats;
  stats.static_ms = stats.static_busy_ms = ms(merge_start - start);
  stats.merge_ms = ms(end - merge_start);
  stats.bytes = row_bytes(shape) * static_cast<std::int64_t>(keys);
  return stats;
}

}  // namespace ra::model
