// SPDX-License-Identifier: Apache-2.0
#include "lib/store/layout.h"

#include <fmt/format.h>

#include <algorithm>

#include "lib/core/hash.h"
#include "lib/core/json.h"
#include "lib/store/hdf5.h"

namespace ra::store {
namespace {

template <class T>
std::string hash_of(const std::vector<T>& values) {
  return sha256_hex(std::as_bytes(std::span(values)));
}

}  // namespace

HeadShape shape_of(const DumpInfo& info, Kind kind) {
  if (kind == Kind::kQ) return {info.n_heads, info.head_dim};
  return {info.n_kv_heads, kind == Kind::kK ? info.head_dim : info.value_dim};
}

std::string layer_name(const DumpInfo& info, int layer) {
  return fmt::format("{:0{}}", layer, info.n_layers > 100 ? 3 : 2);
}

std::string layer_path(const DumpInfo& info, int layer) {
  return "/layers/" + layer_name(info, layer);
}

std::string vector_path(const DumpInfo& info, int layer, Kind kind) {
  const char* name = kind == Kind::kK ? "k" : kind == Kind::kV ? "v" : "q";
  return fmt::format("/layers/{}/{}", layer_name(info, layer), name);
}

std::pair<std::int64_t, std::int64_t> query_rows(const DumpInfo& info, std::int64_t begin,
                                                 std::int64_t end) {
  const auto at = [&](std::int64_t pos) {
    return std::lower_bound(info.q_pos.begin(), info.q_pos.end(), pos) - info.q_pos.begin();
  };
  return {at(begin), at(end)};
}

std::int64_t rows_of(const DumpInfo& info, const Range& range, Kind kind) {
  if (kind != Kind::kQ) return range.token_end - range.token_begin;
  const auto [first, last] = query_rows(info, range.token_begin, range.token_end);
  return last - first;
}

std::uint64_t vector_bytes(const DumpInfo& info, std::int64_t layers, std::int64_t tokens,
                           std::int64_t queries) {
  const std::int64_t values = info.n_kv_heads * tokens * (info.head_dim + info.value_dim) +
                              info.n_heads * queries * info.head_dim;
  return static_cast<std::uint64_t>(layers) * static_cast<std::uint64_t>(values) *
         bytes_of(info.dtype);
}

std::string config_sha256(const DumpInfo& info, const WriterOptions& options) {
  Json c;
  c["format_version"] = kFormatVersion;
  c["tool"] = {info.tool_version, info.git_commit};
  c["model"] = {info.model_sha256, info.architecture};
  c["shape"] = {info.n_layers, info.n_heads, info.n_kv_heads, info.head_dim, info.value_dim};
  c["rope"] = {info.rope_style, info.rope_base, info.rope_scaling};
  c["scale"] = info.scale;
  c["dtype"] = name_of(info.dtype);
  c["tokens"] = {info.n_tokens, info.n_prefill};
  c["ids_sha256"] = hash_of(info.ids);
  c["layers"] = info.layers;
  c["q_pos_sha256"] = hash_of(info.q_pos);
  c["seed"] = info.seed;
  c["allow_saturate"] = options.allow_saturate;
  c["gzip"] = options.gzip;
  c["run_key"] = options.run_key;
  return sha256_hex(c.dump(-1, ' ', false, Json::error_handler_t::replace));
}

}  // namespace ra::store
