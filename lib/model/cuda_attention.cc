// SPDX-License-Identifier: Apache-2.0
#include "lib/model/cuda_attention.h"

#include "kernels/cuda/grid.h"
#include "lib/core/clock.h"
#include "lib/core/error.h"
#include "lib/model/cuda_errors.h"

namespace ra::model {
namespace {

std::size_t size(auto n) { return static_cast<std::size_t>(n); }

std::size_t group_of(const AttendInput& in) {
  const KvCache::Shape& s = in.cache->shape();
  return in.q.cols / (size(s.kv_heads) * size(s.head_dim));
}

}  // namespace

cuda::MergeArgs CudaDecode::queue_parts(const AttendInput& in, const cuda::KeyRange (&keys)[2]) {
  const cuda::DeviceKeys kv = backend_.keys(*in.cache, in.layer);
  const std::size_t group = group_of(in), heads = kv.kv_heads * group;
  const std::size_t total = keys[0].count + keys[1].count;
  const cuda::KeySplits splits(total, cuda::attend_decode_blocks(kv.kv_heads, group),
                               backend_.multiprocessors());
  const std::size_t parts = heads * splits.count, needed = parts * (2 + kv.value_dim);
  if (parts_.size() < needed) parts_.reserve_discard(2 * needed);
  const cuda::DevicePartials out{parts_.data(), parts_.data() + parts, parts_.data() + 2 * parts};
  cuda::attend_decode(backend_.stream().get(), {.q = in.q.data,
                                                .group = group,
                                                .kv = kv,
                                                .keys = {keys[0], keys[1]},
                                                .scale = in.scale,
                                                .splits = splits.count,
                                                .split_keys = splits.length,
                                                .out = out,
                                                .part_stride = splits.count});
  return {.parts = out, .heads = heads, .splits = splits.count, .value_dim = kv.value_dim};
}

void CudaDecode::finish_to(const AttendInput& in, const cuda::KeyRange (&keys)[2], float* out) {
  cuda::MergeArgs merge = queue_parts(in, keys);
  merge.finished = out;
  cuda::merge_partials(backend_.stream().get(), merge);
}

cuda::DevicePartials CudaDecode::partials(const AttendInput& in, const cuda::KeyRange (&keys)[2]) {
  cuda::MergeArgs merge = queue_parts(in, keys);
  const std::size_t needed = merge.heads * (2 + merge.value_dim);
  merged_.reserve_discard(needed);
  // max, sum and acc lie together: one copy brings them to the host.
  merge.out = {merged_.data(), merged_.data() + merge.heads, merged_.data() + 2 * merge.heads};
  cuda::merge_partials(backend_.stream().get(), merge);
  return merge.out;
}

AttendStats CudaAttention::attend(const AttendInput& in, MatView<float> out) {
  const auto start = std::chrono::steady_clock::now();
  const KvCache::Shape& s = in.cache->shape();
  RA_CHECK(size(in.pos) + in.q.rows <= size(in.cache->size(in.layer)));
  const std::size_t row = size(s.kv_heads) * (kernels::row_bytes(s.type, size(s.head_dim)) +
                                              kernels::row_bytes(s.type, size(s.value_dim)));
  const std::size_t first = kernels::first_key(size(in.pos), size(in.window));
  const std::size_t keys = size(in.pos) + in.q.rows - first;
  on_device([&] {
    if (in.q.rows == 1) {
      decode_.finish_to(in, {{first, keys}, {}}, out.data);
    } else {
      cuda::attend_causal(backend_.stream().get(), {.q = in.q.data,
                                                    .q_stride = in.q.stride,
                                                    .tokens = in.q.rows,
                                                    .group = group_of(in),
                                                    .pos0 = size(in.pos),
                                                    .window = size(in.window),
                                                    .kv = backend_.keys(*in.cache, in.layer),
                                                    .scale = in.scale,
                                                    .out = out.data,
                                                    .out_stride = out.stride});
    }
    backend_.stream().synchronise();
  });
  AttendStats stats;
  stats.static_ms = stats.static_busy_ms = ms_since(start);
  stats.bytes = static_cast<std::int64_t>(row * keys);
  return stats;
}

}  // namespace ra::model
