// SPDX-License-Identifier: Apache-2.0
// Index types by name: one file and one row each.
#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "lib/core/params.h"
#include "lib/index/index_state.h"
#include "lib/index/vector_index.h"

namespace ra::index {

struct IndexType {
  std::string_view name, help;
  std::span<const ParamInfo> params;  // build keys, search keys and share=group|head
  std::string_view effort_key;        // "ef", "probes" or "" (no effort)
  bool query_aware = false;           // needs training queries whatever its metric
  bool moments = false;               // their second moments are enough
  std::unique_ptr<VectorIndex> (*build)(const BuildInput& in, const ParamReader& params);
  // Makes an index of the same keys and build parameters from its state; nullptr: cannot be saved.
  std::unique_ptr<VectorIndex> (*restore)(const BuildInput& in, const ParamReader& params,
                                          const IndexState& state) = nullptr;
  // Keys that are learnt together: an index of n keys is that of the first piece, the others
  // appended in order. nullptr: the type cannot grow.
  // This is the size of the piece that begins at key `first`.
  std::size_t (*segment)(const ParamReader& params, std::size_t first) = nullptr;
  // Best keys of each training query that the build begins with, all rows; 0: none. They may be
  // gathered while the keys come (BuildInput::lists).
  std::size_t (*lists)(const ParamReader& params) = nullptr;
  // Whether a search reads keys for the whole group, which then best attends to what it finds
  // together (VectorIndex::shortlist). nullptr: each query searches by itself.
  bool (*for_group)(const ParamReader& params) = nullptr;
  // Whether its shortlist can hold what is worth reading (SearchParams::share). nullptr: it cannot.
  bool (*by_share)(const ParamReader& params) = nullptr;
  // See index_bytes.
  std::size_t (*bytes)(const KeyShape& shape, const ParamReader& params) = nullptr;
};

// Names FAISS, the BLAS behind it and Eigen to core's provenance.
void note_libraries();

std::span<const IndexType> index_types();
// Throws Error{kUsage} with the known names. Only types compiled in are known.
const IndexType& find_index_type(std::string_view name);

// A spec checked once, before any work: unknown names, keys and values out of range are
// Error{kUsage}.
struct IndexSpec {
  Spec spec;
  const IndexType* type = nullptr;
  bool share_group = true;     // one index per KV head; otherwise one per query head
  bool needs_queries = false;  // query_aware or metric=query (the default or given)
  std::vector<int> efforts;    // of the effort key, in the order given; {0} if there is none
  bool for_group = false;      // IndexType::for_group, of an index that the group shares
  bool by_share = false;       // IndexType::by_share, likewise
  std::size_t segment = 0;     // keys of the first piece; 0: the type cannot grow
  std::size_t lists = 0;       // best keys of each training query that BuildInput::lists may have
  // Keys of the piece that begins at key `first`. Requires segment > 0.
  std::size_t piece(std::size_t first) const;
  std::string build_text() const;  // canonical, without the effort key: names one built index
};
IndexSpec check_index_spec(const Spec& spec);

// Throws Error{kBadData} if the spec needs training queries and `in` has none.
std::unique_ptr<VectorIndex> build_index(const IndexSpec& spec, const BuildInput& in);

// What VectorIndex::memory_bytes of an index of such keys comes to, at most: of a graph with all
// the links its keys may have, of which real keys take about half. The upper layers of HNSW are
// drawn at random and counted by their expectation.
std::size_t index_bytes(const IndexSpec& spec, const KeyShape& shape);

// VectorIndex::append with the same checks. Requires spec.segment > 0.
void append_keys(const IndexSpec& spec, VectorIndex& index, const BuildInput& more);

// The index that VectorIndex::save described; `in.train` is not used. Throws Error{kBadData} naming
// the array for a state that cannot be of these keys. Requires spec.type->restore.
std::unique_ptr<VectorIndex> restore_index(const IndexSpec& spec, const BuildInput& in,
                                           const IndexState& state);

}  // namespace ra::index
