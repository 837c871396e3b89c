// SPDX-License-Identifier: Apache-2.0
// Index specs of the command line, and building them for a group with a `build` record each.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "apps/recall/selection.h"
#include "lib/bench/results.h"
#include "lib/core/json.h"
#include "lib/index/registry.h"

namespace ra::recall {

// All specs of --index, checked. Where the effort key is not given, `efforts` becomes a sweep:
// 1, 2, 4, ..., 128 probes (at most 4 sqrt(n)), or a beam of k, 2k, ..., 16k (at most n).
std::vector<index::IndexSpec> parse_indexes(const Options& o, std::size_t n_keys);

// What these specs need from a dump.
Wanted wanted_by(const std::vector<index::IndexSpec>& specs, bool values);

// One built index and the heads of the group it serves.
struct Built {
  std::unique_ptr<index::VectorIndex> index;
  std::vector<const HeadVectors*> heads;
};

// Builds one index for the group, or one per chosen head with share=head, writes a `build` record
// for each and hands it to `use` before the next is built. `config` holds the fields common to all
// records.
void for_each_index(const index::IndexSpec& spec, const GroupVectors& v, const Json& config,
                    const Options& o, bench::ResultWriter& writer,
                    const std::function<void(const Built&)>& use);

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
  explicit ShortNames(const std::string& format) : full_(format == "csv") {}
  std::string of(const std::string& text);
  std::string legend() const;

 private:
  bool full_;
  std::vector<std::string> long_;
};

}  // namespace ra::recall
