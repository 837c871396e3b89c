// SPDX-License-Identifier: Apache-2.0
// A scan of the codes of all keys, read once for the heads of a group, and exact scores for the
// best of each head.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "lib/core/params.h"
#include "lib/index/index_state.h"
#include "lib/index/key_codes.h"
#include "lib/index/vector_index.h"

namespace ra::index {

struct CodedScanOptions {
  int bits = 8;
  std::size_t rerank = 500;  // keys scored exactly, at least k; SearchParams::effort overrides it
};

// Reads the caller's keys for the exact scores where BuildInput::stored has them.
std::unique_ptr<VectorIndex> build_coded_scan(const BuildInput& in, CodeSpace space,
                                              const CodedScanOptions& o);

// The registry's row `qscan`: codes of low rank in the query metric.
std::span<const ParamInfo> qscan_params();
std::size_t qscan_bytes(const KeyShape& shape, const ParamReader& params);
std::unique_ptr<VectorIndex> build_qscan(const BuildInput& in, const ParamReader& params);
std::unique_ptr<VectorIndex> restore_qscan(const BuildInput& in, const ParamReader& params,
                                           const IndexState& state);

}  // namespace ra::index
