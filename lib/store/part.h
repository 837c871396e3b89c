// SPDX-License-Identifier: Apache-2.0
// The part that is open: rows arrive layer by layer, are narrowed into memory [layer][k|v|q][head]
// [row][width], and become one HDF5 file when the range is full.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "lib/core/matrix.h"
#include "lib/store/layout.h"
#include "lib/store/manifest.h"

namespace ra::store {

class OpenPart {
 public:
  // `range` is of the dumped layers `layers`, positions in `info`. Memory: their vectors.
  OpenPart(const DumpInfo& info, const WriterOptions& options, std::vector<int> layers,
           const Range& range);
  OpenPart(const OpenPart&) = delete;
  OpenPart& operator=(const OpenPart&) = delete;

  // Rows of one layer from position `pos` on; they continue those of the call before. Throws
  // Error{kBadData} for NaN, infinities, and overflow unless it is allowed to saturate.
  void append(int layer, std::int64_t pos, MatView<const float> q, MatView<const float> k,
              MatView<const float> v);
  std::int64_t end_of(int layer) const;  // first position not yet there
  std::int64_t end_of_all() const;       // the least of them
  const Range& range() const { return range_; }

  // Writes the positions before `token_end` to `folder`, verified and durable. Returns the line for
  // the manifest, without the hash of the run.
  PartEntry write(const std::filesystem::path& folder, std::int64_t token_end,
                  const std::string& config_sha256) const;

 private:
  struct Slot {  // one dataset in the making
    std::byte* data = nullptr;
    std::int64_t rows = 0;
    std::int64_t saturated = 0;
  };
  struct Layer {
    int number = 0;
    std::int64_t end = 0;
    Slot slots[3];  // by Kind
  };
  Layer& find(int layer);
  void store_row(Layer& layer, Kind kind, std::int64_t row, std::int64_t pos, const float* values);

  const DumpInfo& info_;
  const WriterOptions& options_;
  Range range_;
  std::vector<Layer> layers_;
  AlignedBuffer<std::byte> memory_;
};

}  // namespace ra::store
