// SPDX-License-Identifier: Apache-2.0
// Maximum inner product search over the keys of one KV head: score = inner product, larger is
// better, hits best first, ties to the smaller id. Everywhere.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernels/attend.h"
#include "kernels/types.h"
#include "lib/core/error.h"

namespace ra::index {

// Training queries of one query head of the group: in order of position, spread over the positions
// of the keys.
struct QuerySet {
  MatView<const float> rows;    // [m, head_dim]
  MatView<const float> moment;  // [head_dim, head_dim] mean of q q^T, or empty. Where it is given,
                                // metrics are fitted to it instead of to rows, which may be empty
};

// The keys where their owner keeps them: row i begins i * stride elements after `rows`. An index
// that scores by codes first may read them during searches instead of a copy of its own, so they
// must stay where they are, unchanged, as long as the index is searched.
struct StoredKeys {
  const void* rows = nullptr;                     // null: there are none, the index copies
  kernels::KvType type = kernels::KvType::kBf16;  // kF32 or kBf16
  std::size_t stride = 0;
};

struct KnnTable;  // knn_table.h
struct RowFetch;  // row_fetch.h
class RowSearch;  // row_search.h

struct BuildInput {
  MatView<const float>
      keys;  // [n, head_dim] of one KV head, after RoPE; the index copies what it needs
  std::vector<QuerySet>
      train;  // one per query head of the group that shares the index; may be empty
  std::uint64_t seed = 1;
  StoredKeys stored = {};  // the same keys from the first id of the index on
  // The best keys of all rows of `train`, if somebody found them already: exact_knn of the k that
  // IndexSpec::lists names. Others than such types do not look.
  const KnnTable* lists = nullptr;
  RowSearch* search = nullptr;  // takes the exact searches of the build; null: the threads here
  // [n, value_dim] values of the keys, for AttentionShare::rest; or none, then in no piece of an
  // index.
  MatView<const float> values = {};
};

// Keys by number and kind, before there are any: what a memory plan knows.
struct KeyShape {
  std::size_t keys = 0, dim = 0;
  std::size_t heads = 1;      // query heads that share the index
  bool stored = false;        // BuildInput::stored will say where they are
  bool bf16 = false;          // their values are those of bf16
  std::size_t value_dim = 0;  // of BuildInput::values; 0: there will be none
};

struct Hit {
  std::uint32_t id = 0;  // row of BuildInput::keys
  float score = 0;       // exact inner product
};

// For a shortlist of the keys that are worth reading instead of each query's k best: those that
// would take at least a share of a query's softmax over its keys and what it attends to anyway. So
// it has at most 1 / share keys of a query, about, many where attention is spread and none where
// the mass lies elsewhere.
struct AttentionShare {
  float least = 0;              // in (0, 1)
  float scale = 1;              // logit = scale * score; > 0
  std::span<const float> held;  // [group] ln of the sum of exp(logit) attended to anyway
  bool rest = false;            // asks for Shortlist::rest
};

struct SearchParams {
  int k = 100;
  int effort = 0;      // beam of a graph, probes of an IVF; 0 = the index's default
  bool ranked = true;  // false: hits in any order, and any of those that tie for the last place
  // Query row r comes from the head of BuildInput::train[heads[r]]; empty: row r from set r modulo
  // their number. Only an index that treats the heads of a group apart looks at it.
  std::span<const std::uint32_t> heads = {};
  const RowFetch* fetch = nullptr;        // shortlist: what the caller reads of its ids, if known
  const AttentionShare* share = nullptr;  // shortlist of a type that is `by_share` (registry.h)
};

// What attention to the keys below a query's floor comes to, estimated without reading one: the
// kernels::Partial of row r is {floor * scale, sums[r], values row r}. Empty where it was not asked
// for, or the index has no values.
struct Rest {
  std::vector<float> sums;    // [group] of exp(logit - floor * scale)
  std::vector<float> values;  // [group, stride], the first value_dim of each row
  std::size_t stride = 0;
  void clear() {
    sums.clear();
    values.clear();
  }
};

// Keys for all queries of a group to attend to: about the k best of each or more, each once, in any
// order.
struct Shortlist {
  std::vector<std::uint32_t> ids;
  std::vector<float> floors;  // [group] about the score that puts a key there; -inf where any does
  Rest rest;
  void clear() {
    ids.clear();
    floors.clear();
    rest.clear();
  }
  // Adds the list of other queries; ids may then be there twice (join_rows).
  void append(const Shortlist& other);
};

// Keys that codes keep of each of `rows` queries for a shortlist, where a search would score
// `rerank` exactly and return k. Nothing is cut after it, and what the codes of one query miss
// those of several others bring; two or three do not.
inline constexpr std::size_t kSeveral = 4;
constexpr std::size_t shortlist_keep(std::size_t rerank, std::size_t k, std::size_t rows) {
  const std::size_t keep = rows < kSeveral ? rerank : rerank / 4;
  return keep > k ? keep : k;
}

// Where the time of a search by cells goes, in ms.
struct SearchTimes {
  double cells = 0;   // scoring cells
  double pick = 0;    // choosing some and asking for their keys; the estimate of the rest
  double floor = 0;   // a floor for each head, from a sample of these
  double filter = 0;  // the others beside it
  SearchTimes& operator+=(const SearchTimes& o) {
    cells += o.cells;
    pick += o.pick;
    floor += o.floor;
    filter += o.filter;
    return *this;
  }
};

struct SearchStats {
  std::int64_t distances = 0;  // inner products computed, summed over the query rows; centroids,
                               // routing, upper layers and codes included
  std::int64_t coded = 0;      // those of them on low-precision codes
  std::int64_t bytes = 0;      // vector bytes read; a shared scan reads once for the whole group
  std::int64_t hops = 0;       // nodes expanded or lists probed
  SearchTimes times;           // `qivf` only
  SearchStats& operator+=(const SearchStats& o) {
    distances += o.distances;
    coded += o.coded;
    bytes += o.bytes;
    hops += o.hops;
    times += o.times;
    return *this;
  }
};

// Of a list to which each of `rows` queries brought ids of its own, counted for it alone: leaves
// each id once and counts it for all.
void join_rows(Shortlist& list, std::size_t rows, SearchStats& stats);

// What a build cost and made; fields that do not apply stay 0.
struct BuildStats {
  double build_ms = 0, knn_ms = 0, project_ms = 0, connect_ms = 0, cpu_s = 0;
  double metric_ms = 0, cluster_ms = 0, pack_ms = 0;  // cells: query metric, k-means, codes
  std::int64_t distances = 0;
  std::int64_t key_bytes = 0;  // of memory_bytes(): the copy of the keys
  double degree_mean = 0;
  std::int64_t degree_max = 0;
  double reachable_frac = 1;  // share of keys a search at full effort can return
};

// Visited set, heaps, buffers of one thread; of an index that is `sequential`, also what it
// remembers of the queries before.
class SearchScratch {
 public:
  virtual ~SearchScratch() = default;
};

struct IndexState;

class VectorIndex {
 public:
  virtual ~VectorIndex() = default;
  virtual std::unique_ptr<SearchScratch> make_scratch() const = 0;  // one per thread
  // queries [group, head_dim]; hits[i] gets at most p.k hits of row i. Thread-safe.
  virtual SearchStats search(MatView<const float> queries, const SearchParams& p,
                             SearchScratch& scratch, std::span<std::vector<Hit>> hits) const = 0;
  // The stats count each key of the list as scored by every query, which the attention will do, its
  // bytes only where they are read here. The default joins the hits of all.
  virtual SearchStats shortlist(MatView<const float> queries, const SearchParams& p,
                                SearchScratch& scratch, Shortlist& list) const;
  virtual std::size_t memory_bytes() const = 0;  // links, centroids and any copy of the keys
  virtual const BuildStats& build_stats() const = 0;
  // Keys that follow those of the index, as the next ids, for types whose row has a `segment`
  // (registry.h); others abort. Without training queries they are learnt by the metric of the keys
  // before them. No search may run; scratch stays valid.
  virtual void append(const BuildInput&) { RA_CHECK(false); }
  // Forgets the keys from id n on; a piece was once appended there.
  virtual void shrink(std::size_t) { RA_CHECK(false); }
  // True if a search starts from what the last ones with the same scratch found: queries of a head
  // must then come in the order of their positions, and a new scratch starts cold.
  virtual bool sequential() const { return false; }
  // Adds what the row's `restore` needs (registry.h); nothing where the keys are enough.
  virtual void save(IndexState&) const {}
};

}  // namespace ra::index
