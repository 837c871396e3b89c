// SPDX-License-Identifier: Apache-2.0
// Names and shapes of a dump, shared by writing and reading.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "lib/store/vectors.h"

namespace ra::store {

inline constexpr std::string_view kDumpFormat = "retrieval-attention-dump";
inline constexpr std::string_view kPartFormat = "retrieval-attention-dump-part";
inline constexpr std::int64_t kFormatVersion = 1;

enum class Kind { kK, kV, kQ };
inline constexpr Kind kKinds[] = {Kind::kK, Kind::kV, Kind::kQ};

struct HeadShape {
  std::int64_t heads = 0, width = 0;
};
HeadShape shape_of(const DumpInfo& info, Kind kind);

// "07", or "007" if the model has more than 100 layers.
std::string layer_name(const DumpInfo& info, int layer);
// "/layers/07", "/layers/07/k"
std::string layer_path(const DumpInfo& info, int layer);
std::string vector_path(const DumpInfo& info, int layer, Kind kind);

// Indices [first, last) into q_pos of the positions [begin, end).
std::pair<std::int64_t, std::int64_t> query_rows(const DumpInfo& info, std::int64_t begin,
                                                 std::int64_t end);

// A contiguous piece of a dump: layers and tokens, both without the end.
struct Range {
  int layer_begin = 0, layer_end = 0;
  std::int64_t token_begin = 0, token_end = 0;
};
// Rows of a dataset of that range: tokens, or kept queries.
std::int64_t rows_of(const DumpInfo& info, const Range& range, Kind kind);

// Bytes of K, V and Q of `tokens` positions of `layers` layers, of which `queries` keep their Q.
std::uint64_t vector_bytes(const DumpInfo& info, std::int64_t layers, std::int64_t tokens,
                           std::int64_t queries);

// Hash of everything that decides the vectors: model, prompt, selection, types, options.
std::string config_sha256(const DumpInfo& info, const WriterOptions& options);

}  // namespace ra::store
