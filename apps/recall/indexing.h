// SPDX-License-Identifier: Apache-2.0
// Index specs of the command line, and what is built of them for a group.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "apps/recall/selection.h"
#include "lib/bench/results.h"
#include "lib/core/json.h"
#include "lib/index/registry.h"

namespace ra::recall {

// All specs of --index, checked. Where the effort key is not given, `efforts` becomes a sweep:
// 1, 2, 4, ..., 128 probes (at most 4 sqrt(n)), a target of 600 to 980 per mille, or a beam of k,
// 2k, ..., 16k (at most n).
std::vector<index::IndexSpec> parse_indexes(const Options& o, std::size_t n_keys);

// What these specs need from a dump.
Wanted wanted_by(const std::vector<index::IndexSpec>& specs, bool values);

// One index to be made: a spec over the keys of a group, or for one of its query heads.
struct IndexUnit {
  const index::IndexSpec* spec = nullptr;
  std::optional<int> head;  // with share=head
  Json config;              // of its `build` record
};

// The indexes of one spec for a group: one, or one per chosen head with share=head. `train_rows`
// are the training queries of each of the `group_heads` query heads that read the KV head; `base`
// holds the fields common to all records.
std::vector<IndexUnit> index_units(const index::IndexSpec& spec, const Group& group,
                                   std::size_t n_keys, std::size_t train_rows,
                                   std::size_t group_heads, const Json& base);

// What the unit is built from; `v` is the unit's group and must outlive it.
index::BuildInput build_input(const IndexUnit& unit, const GroupVectors& v, std::uint64_t seed);

// Which of its training sets is that of query head `head`; 0 if none is.
std::uint32_t train_set(const IndexUnit& unit, const GroupVectors& v, int head);

bench::Result build_record(const IndexUnit& unit, const index::VectorIndex& built);

// The efforts are parse_indexes' own: none was given.
bool sweeps_by_default(const index::IndexSpec& spec);

// True once a larger effort of a default sweep did no more work than the one before: every list is
// read, every key reached. Efforts given on the command line are all measured.
bool sweep_saturated(const index::IndexSpec& spec, const Json* previous, const Json& metrics);

// "ef=200" of a point of the curve; empty if the index has no effort.
std::string search_text(const index::IndexSpec& spec, int effort);

// A row per index: mean build time, size, degree and reachable share over the `build` records.
std::string build_table(const std::vector<Json>& records, const std::string& format);

// Index texts longer than a column become NAME#i; the legend explains them.
class ShortNames {
 public:
  explicit ShortNames(const std::string& format, std::size_t column = 32)
      : full_(format == "csv"), column_(column) {}
  std::string of(const std::string& text);
  std::string legend() const;

 private:
  bool full_;
  std::size_t column_;
  std::vector<std::string> long_;
};

}  // namespace ra::recall
