// SPDX-License-Identifier: Apache-2.0
// Keys and values of a cache's last positions, kept aside: several runs that go on from the same
// prompt in their own way take turns on one cache.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "lib/model/kv_cache.h"

namespace ra::model {

class KvTail {
 public:
  // Copies positions [first, size) of every layer; what was kept before is dropped.
  void keep(const KvCache& cache, std::int64_t first);
  // Appends them to a cache of the same shape, usually one truncated to `first`.
  void put_back(KvCache& cache) const;

  static std::uint64_t bytes(const KvCache::Shape& shape, std::int64_t rows);

 private:
  std::int64_t rows_ = 0;
  std::vector<std::vector<std::byte>> k_, v_;  // [layer]: [kv_heads, rows, dim], the cache's type
};

}  // namespace ra::model
