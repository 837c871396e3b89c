// SPDX-License-Identifier: Apache-2.0
#include "lib/attention/cuda_knn.h"

#include <algorithm>
#include <utility>

#include "kernels/cuda/grid.h"
#include "kernels/cuda/score_keys.h"
#include "kernels/cuda/topk.h"
#include "lib/core/error.h"
#include "lib/core/params.h"
#include "lib/model/cuda_errors.h"

namespace ra::attention {
namespace {

// A row of scores is searched in pieces of at least so many times k: what they leave for the last
// search is less than the row by as much.
constexpr std::size_t kPieceOverK = 8;

std::size_t size(auto n) { return static_cast<std::size_t>(n); }

// Rows of scores begin at the alignment of a warp's store.
std::size_t score_stride(std::size_t keys) {
  return cuda::divide_up<std::size_t>(keys, cuda::kWarpSize) * cuda::kWarpSize;
}

// Ids of one head: the best of all pieces, and of those the best.
std::size_t most_ids(std::size_t capacity) {
  return capacity / kPieceOverK + 2 * std::min(capacity, cuda::kMostTopk);
}

// Of one head: static set and found keys.
std::size_t most_parts(std::size_t capacity) {
  using cuda::KeySplits;
  return std::min(KeySplits::kMostSplits, capacity / KeySplits::kFewestKeys + 1) +
         cuda::kMostTopk / KeySplits::kFewestKeys;
}

}  // namespace

std::uint64_t KnnMemory::bytes(std::size_t heads, std::size_t value_dim, std::size_t capacity) {
  return std::uint64_t{heads} * (score_stride(capacity) * sizeof(float) +
                                 most_ids(capacity) * (sizeof(std::uint32_t) + sizeof(float)) +
                                 most_parts(capacity) * (2 + value_dim) * sizeof(float));
}

void KnnMemory::reserve(std::size_t heads, std::size_t value_dim, std::size_t capacity) {
  scores.reserve_discard(heads * score_stride(capacity));
  ids.reserve_discard(heads * most_ids(capacity));
  best.reserve_discard(heads * most_ids(capacity));
  parts.reserve_discard(heads * most_parts(capacity) * (2 + value_dim));
}

bool CudaKnn::serves(const SparseOptions& o) {
  if (!o.index || o.index->type->name != "flat") return false;
  const bool exact_keys = ParamReader(o.index->spec, o.index->type->params).choice("bits") == "all";
  return exact_keys && !o.group && !o.cut.active() && !o.tail && !o.sequential &&
         size(o.k) <= cuda::kMostTopk;
}

CudaKnn::CudaKnn(model::CudaBackend& backend, std::unique_ptr<SparseAttention> sparse,
                 KnnMemory& memory)
    : backend_(backend),
      sparse_(*sparse),
      beside_cpu_(backend, std::move(sparse)),
      memory_(memory) {
  RA_CHECK(serves(sparse_.options()));
}

model::AttendStats CudaKnn::attend(const model::AttendInput& in, MatView<float> out) {
  if (in.q.rows > 1 || in.window > 0 || sparse_.k_by_head()) return beside_cpu_.attend(in, out);
  return model::on_device([&] { return decode(in, out); });
}

const std::uint32_t* CudaKnn::search(const model::AttendInput& in, const cuda::DeviceKeys& kv,
                                     cuda::KeyRange keys, std::size_t k) {
  const cudaStream_t stream = backend_.stream().get();
  const std::size_t heads = in.q.cols / kv.head_dim, stride = score_stride(keys.count);
  cuda::score_keys(stream, {.q = in.q.data,
                            .group = heads / kv.kv_heads,
                            .kv = kv,
                            .keys = keys,
                            .out = memory_.scores.data(),
                            .out_stride = stride});
  const std::size_t split = cuda::KeySplits(keys.count, heads, backend_.multiprocessors()).length;
  cuda::TopkArgs of_pieces{.scores = memory_.scores.data(),
                           .score_stride = stride,
                           .rows = heads,
                           .n = keys.count,
                           .k = k,
                           .piece = std::max(split, kPieceOverK * k),
                           .out_ids = memory_.ids.data(),
                           .out_scores = memory_.best.data()};
  const std::size_t pieces = cuda::divide_up(keys.count, of_pieces.piece);
  of_pieces.out_stride = pieces * k;
  cuda::topk(stream, of_pieces);
  if (pieces == 1) return memory_.ids.data();
  const std::size_t found = heads * pieces * k;
  cuda::topk(stream, {.scores = memory_.best.data(),
                      .score_stride = pieces * k,
                      .ids = memory_.ids.data(),
                      .rows = heads,
                      .n = pieces * k,
                      .k = k,
                      .out_ids = memory_.ids.data() + found,
                      .out_scores = memory_.best.data() + found,
                      .out_stride = k});
  return memory_.ids.data() + found;
}

model::AttendStats CudaKnn::decode(const model::AttendInput& in, MatView<float> out) {
  const cuda::DeviceKeys kv = backend_.keys(*in.cache, in.layer);
  const cuda::Stream& stream = backend_.stream();
  const std::size_t heads = in.q.cols / kv.head_dim, group = heads / kv.kv_heads;
  // As SparseAttention has them: the buffer of keys that left the window is one range with those of
  // the index, and where nothing is indexed all keys are static.
  const std::int64_t sink = sparse_.indexed_begin();
  const bool indexed = sparse_.indexed_end() > sink;
  const std::int64_t window =
      indexed ? std::max(sparse_.indexed_end(), in.pos - sparse_.options().window) : sink;
  RA_CHECK(window <= in.pos);
  const cuda::KeyRange keys{size(sink), size(window - sink)};
  const std::size_t fixed = size(sink + in.pos + 1 - window);
  const std::size_t k = std::min(size(sparse_.options().k), keys.count);
  memory_.reserve(heads, kv.value_dim, kv.capacity);

  const cuda::KeySplits fixed_splits(fixed, cuda::attend_decode_blocks(kv.kv_heads, group),
                                     backend_.multiprocessors());
  const cuda::KeySplits own_splits(k, cuda::attend_decode_blocks(heads, 1),
                                   backend_.multiprocessors());
  const std::size_t splits = fixed_splits.count + (k > 0 ? own_splits.count : 0);
  const std::size_t parts = heads * splits;
  const cuda::DevicePartials all{memory_.parts.data(), memory_.parts.data() + parts,
                                 memory_.parts.data() + 2 * parts};
  cuda::AttendDecodeArgs attend{.q = in.q.data,
                                .group = group,
                                .kv = kv,
                                .keys = {{0, keys.first}, {size(window), fixed - keys.first}},
                                .scale = in.scale,
                                .splits = fixed_splits.count,
                                .split_keys = fixed_splits.length,
                                .out = all,
                                .part_stride = splits};
  cuda::AttendDecodeArgs own = attend;
  begun_.record(stream);
  if (k > 0) own.ids = search(in, kv, keys, k);
  searched_.record(stream);
  if (k > 0) {  // to the parts after those of the static set
    own.keys[0] = {keys.first, k};
    own.keys[1] = {};
    own.id_stride = k;
    own.splits = own_splits.count;
    own.split_keys = own_splits.length;
    own.out = {all.max + fixed_splits.count, all.sum + fixed_splits.count,
               all.acc + fixed_splits.count * kv.value_dim};
    cuda::attend_decode(stream.get(), own);
  }
  gathered_.record(stream);
  cuda::attend_decode(stream.get(), attend);
  static_done_.record(stream);
  cuda::merge_partials(stream.get(), {.parts = all,
                                      .heads = heads,
                                      .splits = splits,
                                      .value_dim = kv.value_dim,
                                      .out = {},
                                      .finished = out.data});
  merged_.record(stream);
  merged_.wait();

  model::AttendStats stats;
  stats.search_ms = stats.search_busy_ms = searched_.ms_since(begun_);
  stats.gather_ms = gathered_.ms_since(searched_);
  stats.static_ms = stats.static_busy_ms = static_done_.ms_since(gathered_);
  stats.merge_ms = merged_.ms_since(static_done_);
  if (k > 0) stats.search_wait_ms = stats.static_ms;  // one after the other
  const std::size_t key_bytes = kernels::row_bytes(kv.type, kv.head_dim),
                    value_bytes = kernels::row_bytes(kv.type, kv.value_dim);
  stats.distances = stats.indexed_keys = static_cast<std::int64_t>(heads * keys.count);
  stats.attended_keys = static_cast<std::int64_t>(heads * k);
  stats.bytes =
      static_cast<std::int64_t>(kv.kv_heads * keys.count * key_bytes +
                                (kv.kv_heads * fixed + heads * k) * (key_bytes + value_bytes));
  return stats;
}

}  // namespace ra::attention
