// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "lib/store/hdf5.h"
#include "lib/store/layout.h"
#include "lib/store/manifest.h"
#include "lib/store/vectors.h"

namespace ra::store {

std::uint64_t dump_bytes(const DumpInfo& info) {
  // Upper bounds of what HDF5 adds: headers per file, per object and per chunk, and the empty rows
  // at the end of the last chunk.
  constexpr std::uint64_t kFile = 48 << 10, kObject = 1200, kChunk = 48;
  const std::size_t element = bytes_of(info.dtype);
  std::uint64_t layer = 2 * kObject + info.q_pos.size() * sizeof(std::int64_t);
  for (const Kind kind : kKinds) {
    const auto [heads, width] = shape_of(info, kind);
    const std::int64_t rows = kind == Kind::kQ ? std::ssize(info.q_pos) : info.n_tokens;
    const std::int64_t chunk = chunk_rows(rows, width, element);
    const std::int64_t chunks = (rows + chunk - 1) / chunk;
    layer += kObject + static_cast<std::uint64_t>(heads * chunks) *
                           (static_cast<std::uint64_t>(chunk * width) * element + kChunk);
  }
  const std::uint64_t lists = static_cast<std::uint64_t>(info.n_tokens) * 8 + info.q_pos.size() +
                              info.logits_last.size() * sizeof(float);
  return kFile + lists + layer * info.layers.size();
}

std::uint64_t writer_memory(const DumpInfo& info, const WriterOptions& options) {
  constexpr std::uint64_t kLibrary = 48 << 20;  // HDF5's caches and the buffers of the join
  const Grid grid = choose_grid(info, options);
  const auto bytes = [&](std::int64_t layers, std::int64_t tokens) {
    return vector_bytes(info, layers, tokens,
                        std::min<std::int64_t>(tokens, std::ssize(info.q_pos)));
  };
  const std::int64_t generated = info.n_tokens - info.n_prefill;
  return kLibrary +
         std::max(bytes(grid.layers, std::min(grid.tokens, info.n_prefill)),
                  bytes(std::ssize(info.layers), std::min(grid.decode_tokens, generated)));
}

}  // namespace ra::store
