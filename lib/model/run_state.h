// SPDX-License-Identifier: Apache-2.0
// What an interrupted run needs to go on without computing everything again, saved as it grows:
// each piece holds the keys and values of some positions, their tokens, and what was computed with
// them. A piece is a TensorFile of magic RAKVPART: run_sha256, first_token, n_tokens, dtype; k, v
// and q_train as in a KV snapshot, and, under layer 0, ids i32 [n_tokens] and nll f32 [..].
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "lib/model/kv_cache.h"
#include "lib/model/query_sample.h"

namespace ra::model {

// What a run computes beside K and V. May be ahead of the positions saved.
struct RunRecord {
  std::vector<std::int32_t> ids;   // the prompt, then what was generated
  std::vector<float> nll;          // of ids[1], ids[2], ...; empty if not wanted
  QuerySample* queries = nullptr;  // being sampled, if wanted
};

class RunState {
 public:
  // `run_sha256` stands for everything that decides K and V; pieces of another run are ignored.
  RunState(std::filesystem::path folder, std::string run_sha256);

  // Appends the saved positions to an empty cache, fills record.nll and the rows of record.queries,
  // and returns their tokens. Ends before the first piece that is missing, damaged, of another run
  // or without the wanted queries: what follows must be computed again.
  std::vector<std::int32_t> load(KvCache& cache, RunRecord& record);

  // Makes the positions up to `end`, which every layer of the cache holds, and all of record.nll
  // durable. Throws Error 73, 74, 77.
  void save(const KvCache& cache, std::int64_t end, const RunRecord& record);

  std::int64_t end() const { return end_; }  // positions saved

 private:
  std::filesystem::path piece(std::int64_t first) const;

  std::filesystem::path folder_;
  std::string run_sha256_;
  std::int64_t end_ = 0;
  std::size_t nll_ = 0;  // values saved
};

}  // namespace ra::model
