// SPDX-License-Identifier: Apache-2.0
#include "lib/model/kv_snapshot.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "lib/core/error.h"
#include "lib/core/hash.h"
#include "lib/core/json.h"
#include "lib/model/kv_tensors.h"
#include "lib/model/rope.h"

namespace ra::model {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kMagic = "RAKVSNAP";
constexpr std::int64_t kMost = std::int64_t{1} << 40;  // tokens, and any other count

std::size_t size(auto n) { return static_cast<std::size_t>(n); }

std::string sha256_of(std::span<const std::int32_t> ids) { return sha256_hex(std::as_bytes(ids)); }

}  // namespace

void write_kv_snapshot(const fs::path& file, bool force, const KvSource& source,
                       const KvCache& cache, std::int32_t next_token, const QuerySample* queries) {
  const Config& c = source.config;
  const KvCache::Shape& s = cache.shape();
  const Json header{{"model_sha256", source.model_sha256},
                    {"token_ids_sha256", sha256_of(source.ids)},
                    {"architecture", c.architecture},
                    {"n_tokens", source.ids.size()},
                    {"n_layers", s.layers},
                    {"n_kv_heads", s.kv_heads},
                    {"head_dim", s.head_dim},
                    {"value_dim", s.value_dim},
                    {"rope_style", name_of(c.rope_style)},
                    {"rope_base", c.rope_base},
                    {"rope_scaling", Json::parse(rope_scaling_json(c))},
                    {"next_token", next_token},
                    {"dtype", name_of(s.type)}};
  std::vector<TensorSource> tensors;
  add_kv(tensors, cache, 0, std::ssize(source.ids));
  if (queries != nullptr) add_queries(tensors, *queries, 0, queries->pos.size());
  write_tensor_file(file, force, kMagic, header, tensors);
}

std::uint64_t kv_snapshot_bytes(const KvCache::Shape& shape, std::int64_t n_tokens, int n_heads,
                                std::int64_t query_positions) {
  std::vector<std::uint64_t> tensors;
  for (int layer = 0; layer < shape.layers; ++layer) {
    tensors.push_back(k_bytes(shape, n_tokens));
    tensors.push_back(v_bytes(shape, n_tokens));
    tensors.push_back(k_frame_bytes(shape));
    tensors.push_back(size(n_heads) * size(query_positions) * size(shape.head_dim) * sizeof(bf16));
    tensors.push_back(size(query_positions) * sizeof(std::int64_t));
  }
  return tensor_file_bytes(tensors);
}

KvSnapshot::KvSnapshot(const fs::path& file, bool trust_data)
    : file_(file, kMagic, "KV snapshot", trust_data) {
  n_tokens_ = file_.integer("n_tokens", 1, kMost);
  next_token_ = static_cast<std::int32_t>(file_.integer("next_token", 0, INT32_MAX));
  shape_ = {.layers = static_cast<int>(file_.integer("n_layers", 1, 1024)),
            .kv_heads = static_cast<int>(file_.integer("n_kv_heads", 1, 1024)),
            .head_dim = static_cast<int>(file_.integer("head_dim", 1, 1024)),
            .value_dim = static_cast<int>(file_.integer("value_dim", 1, 1024)),
            .capacity = n_tokens_};
  const std::string dtype = file_.text("dtype");
  const std::optional<KvType> type = parse_kv_type(dtype);
  if (!type) file_.refuse("dtype", fmt::format("'{}', none of bf16, f32 and int8", dtype));
  shape_.type = *type;
  check_kv(file_, shape_, n_tokens_);
  check_queries();
}

void KvSnapshot::check_queries() {
  const TensorFile::Tensor* first = file_.find(0, "q_train_pos");
  if (first == nullptr) return;
  const std::string where = "q_train_pos";
  query_pos_.resize(first->bytes.size() / sizeof(std::int64_t));
  const std::size_t m = query_pos_.size(), row = size(shape_.head_dim) * sizeof(bf16);
  const auto pos = file_.require(0, where, m * sizeof(std::int64_t));
  std::copy_n(pos.data(), pos.size(), reinterpret_cast<std::byte*>(query_pos_.data()));
  if (m == 0 || query_pos_.front() < 0 || query_pos_.back() >= n_tokens_ ||
      std::adjacent_find(query_pos_.begin(), query_pos_.end(), std::greater_equal<>()) !=
          query_pos_.end())
    file_.refuse(where, "not ascending positions of the prompt");
  const TensorFile::Tensor* q = file_.find(0, "q_train");
  const std::size_t heads = q == nullptr ? 0 : q->bytes.size() / (m * row);
  if (heads < 1 || heads > 1024 || heads % size(shape_.kv_heads) != 0)
    file_.refuse("q_train", fmt::format("{} heads for {} KV heads", heads, shape_.kv_heads));
  n_heads_ = static_cast<int>(heads);
  for (int layer = 0; layer < shape_.layers; ++layer) {
    (void)file_.require(layer, "q_train", heads * m * row);
    const auto same = file_.require(layer, where, m * sizeof(std::int64_t));
    if (!std::equal(pos.begin(), pos.end(), same.begin()))
      file_.refuse(fmt::format("{} of layer {}", where, layer), "differs from layer 0");
  }
}

void KvSnapshot::check_source(const KvSource& source, KvType type) const {
  const Config& c = source.config;
  const auto same = [&](const char* field, const auto& got, const auto& want,
                        const char* hint = "") {
    if (got != want)
      file_.refuse(field, fmt::format("{} in the snapshot, {} here", got, want), hint);
  };
  constexpr const char* kOtherModel = "it is of another model";
  same("model_sha256", file_.text("model_sha256"), source.model_sha256, kOtherModel);
  same("architecture", file_.text("architecture"), c.architecture, kOtherModel);
  same("n_layers", shape_.layers, c.n_layers, kOtherModel);
  same("n_kv_heads", shape_.kv_heads, c.n_kv_heads, kOtherModel);
  same("head_dim", shape_.head_dim, c.head_dim, kOtherModel);
  same("value_dim", shape_.value_dim, c.value_dim, kOtherModel);
  if (n_heads_ > 0) same("q_train", n_heads_, c.n_heads, kOtherModel);
  constexpr const char* kOtherRope = "run with the RoPE of the snapshot";
  same("rope_style", file_.text("rope_style"), std::string(name_of(c.rope_style)), kOtherRope);
  same("rope_base", file_.number("rope_base"), c.rope_base, kOtherRope);
  same("rope_scaling", file_.object("rope_scaling"), rope_scaling_json(c), kOtherRope);
  same("dtype", name_of(shape_.type), name_of(type), "choose it with --kv-dtype");
  if (std::ssize(source.ids) < n_tokens_)
    file_.refuse("n_tokens",
                 fmt::format("{} in the snapshot, the text has {}", n_tokens_, source.ids.size()),
                 "it is of another text");
  same("token_ids_sha256", file_.text("token_ids_sha256"),
       sha256_of(source.ids.first(size(n_tokens_))), "it is of another text");
}

void KvSnapshot::restore(KvCache& cache, std::int64_t n) const {
  const KvCache::Shape& s = cache.shape();
  RA_CHECK(s.layers == shape_.layers && s.kv_heads == shape_.kv_heads &&
           s.head_dim == shape_.head_dim && s.value_dim == shape_.value_dim &&
           s.type == shape_.type && n <= n_tokens_ && cache.size() == 0);
  append_kv(file_, n_tokens_, n, cache);
}

std::optional<QuerySample> KvSnapshot::queries(std::int64_t n, std::int64_t most) const {
  RA_CHECK(n > 0 && most > 0);
  const std::size_t all = query_pos_.size(), dim = size(shape_.head_dim);
  const std::size_t before =
      size(std::lower_bound(query_pos_.begin(), query_pos_.end(), n) - query_pos_.begin());
  if (before == 0) return std::nullopt;
  const std::size_t step = (before + size(most) - 1) / size(most);
  QuerySample out;
  for (std::size_t i = 0; i < before; i += step) out.pos.push_back(query_pos_[i]);
  const std::size_t m = out.pos.size(), row = dim * sizeof(bf16);
  for (int layer = 0; layer < shape_.layers; ++layer) {
    Matrix<bf16> rows(size(n_heads_) * m, dim);
    const auto from = file_.require(layer, "q_train", size(n_heads_) * all * row);
    for (std::size_t h = 0; h < size(n_heads_); ++h)
      for (std::size_t i = 0; i < m; ++i)
        std::memcpy(rows.row(h * m + i), from.data() + (h * all + i * step) * row, row);
    out.layers.push_back(std::move(rows));
  }
  return out;
}

}  // namespace ra::model
