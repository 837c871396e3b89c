// SPDX-License-Identifier: Apache-2.0
// K, V and Q of a dump, wherever they lie: in one file, or in the parts of a folder.
#pragma once

#include <cstdint>
#include <deque>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "lib/store/hdf5.h"
#include "lib/store/layout.h"
#include "lib/store/manifest.h"

namespace ra::store {

class VectorSet {
 public:
  // `info` must outlive the set. All vectors in one file:
  VectorSet(const DumpInfo& info, std::filesystem::path file);
  // In parts: checks that every part is there with its size, says what the manifest says of it, and
  // that together they hold each layer and token once. Throws Error{kBadData} naming the part.
  VectorSet(const DumpInfo& info, const std::filesystem::path& folder,
            const std::vector<PartEntry>& entries);

  // Rows [first, first + count) of one head, in the stored type: positions of K and V, indices into
  // q_pos of Q. The caller holds the HDF5 lock.
  void read(int layer, Kind kind, std::int64_t head, std::int64_t first, std::int64_t count,
            std::byte* out) const;
  // The attributes of a layer's Q, checked: a cap of its scores is refused.
  struct Queries {
    double scale = 0;
    LayerAttributes attributes;
  };
  Queries queries(int layer) const;
  // Clamped values of a dataset, summed over the parts; 0 if none.
  std::int64_t saturated(int layer, Kind kind) const;

 private:
  struct Source {
    std::filesystem::path file;
    Range range;
    std::string config_sha256;  // of a part, empty for a dump
  };
  struct Open {
    std::size_t source = 0;
    Hid h5;
    std::string path;  // of the one dataset kept open
    Hid dataset;
  };
  Open& open(std::size_t source) const;
  hid_t dataset(Open& open, int layer, Kind kind) const;
  void check_coverage(const std::filesystem::path& folder) const;

  const DumpInfo& info_;
  std::vector<Source> sources_;
  Hid type_;
  mutable std::deque<Open> open_;  // most recently used last; bounded
};

}  // namespace ra::store
