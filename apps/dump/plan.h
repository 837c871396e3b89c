// SPDX-License-Identifier: Apache-2.0
// What a run will need, before any of it is allocated.
#pragma once

#include <cstdint>
#include <vector>

#include "apps/cli.h"
#include "apps/dump/request.h"
#include "lib/core/memory.h"
#include "lib/model/backend.h"
#include "lib/model/decoder.h"
#include "lib/model/kv_cache.h"

namespace ra::dump_app {

struct Plan {
  model::KvCache::Shape cache;
  model::Decoder::Options decoder;
  store::WriterOptions writer;
  std::vector<MemoryNeed> needs;
  std::uint64_t snapshot_bytes = 0;  // of --kv-out
};

// Most prompt positions whose queries go into a snapshot, as in ra-bench --train.
inline constexpr std::int64_t kTrainPositions = 2048;

// Parts shrink if memory is short. Does not check the limit (check_memory does).
Plan make_plan(const DumpOptions& options, const cli::CommonOptions& common,
               const Request& request);

model::Compute compute_of(const DumpOptions& options);

}  // namespace ra::dump_app
