// SPDX-License-Identifier: Apache-2.0
// Which vectors of a dump an experiment uses. Indexed keys are prompt positions outside the static
// set; test queries lie after the last of them (they see every one, so no mask is needed); training
// queries lie before it, spread evenly. No query is in both.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "apps/recall/options.h"
#include "lib/core/json.h"
#include "lib/core/matrix.h"
#include "lib/stats/exact_attention.h"
#include "lib/store/vectors.h"

namespace ra::recall {

struct TestRows {
  std::string name;                // "prompt" or "decode"
  std::vector<std::int64_t> rows;  // of q_pos, ascending
};

struct Group {
  int layer = 0, kv_head = 0;
  std::vector<int> heads;  // the chosen query heads that read this KV head
};

struct Selection {
  std::int64_t first_key = 0, last_key = 0;  // positions, both indexed
  std::int64_t end = 0;                      // one past the last position any test query sees
  bool bf16 = false;                         // keys and values are rounded
  std::vector<std::int64_t> train_rows;      // of q_pos, ascending
  std::vector<TestRows> tests;               // only sets that are not empty
  std::vector<Group> groups;                 // layers ascending, then KV heads

  std::size_t n_keys() const { return static_cast<std::size_t>(last_key - first_key + 1); }
};

// Those of --layers, or all of the dump. Throws Error{kUsage} for what is no list of layers,
// Error{kBadData} for one that the dump lacks or that has a short window.
std::vector<int> choose_layers(const store::DumpReader& dump, const Options& o);

// Throws Error{kUsage} for ranges that make no sense, Error{kBadData} where the dump lacks what was
// asked for (a layer, test queries, enough tokens).
Selection select(const store::DumpReader& dump, const Options& o);

// k keys must exist: Error{kUsage} naming `option` otherwise.
void check_k(std::int64_t k, std::size_t n_keys, const std::string& option);

struct TestSet {
  std::string name;
  Matrix<float> queries;             // [m, d]
  std::vector<std::size_t> visible;  // [m] static rows each query sees
};

struct HeadVectors {
  int head = 0;
  bool chosen = true;   // else only its training queries are wanted
  Matrix<float> train;  // [n_train, d]
  std::vector<TestSet> tests;
};

// The vectors of one layer and KV head. Static rows ascend in position: the sink first.
struct GroupVectors {
  Group group;
  double scale = 1;
  std::size_t n_sink = 0;
  Matrix<float> keys, values;                // [n, d], [n, dv]
  Matrix<float> static_keys, static_values;  // [s, d], [s, dv]
  std::vector<HeadVectors> heads;

  stats::HeadData head_data(const TestSet& test) const;
};

struct Wanted {
  bool values = false;
  bool train = false;        // of the chosen heads
  bool group_train = false;  // of every head of the group
};

// Reads one group.
GroupVectors load(const store::DumpReader& dump, const Selection& s, const Group& group,
                  Wanted wanted);
// Bytes load() will hold, for the memory plan.
std::uint64_t load_bytes(const store::DumpInfo& info, const Selection& s, Wanted wanted);

// `config` fields every record of ra-recall starts with: model and input hash, seed, threads, key
// range, and layer, head and kv_head.
Json base_config(const store::DumpReader& dump, const Selection& s, const Options& o);

// `count` distinct numbers below n, ascending, by the seed.
std::vector<std::size_t> sample_without_replacement(std::size_t n, std::size_t count,
                                                    std::uint64_t seed, std::uint64_t stream);

// Rows of `from` in the order of `rows`.
Matrix<float> gather(MatView<const float> from, const std::vector<std::size_t>& rows);

// Throws Error{kInterrupted} once a signal asked for the end; what was written stays.
void stop_if_interrupted();

}  // namespace ra::recall
