// SPDX-License-Identifier: Apache-2.0
#include "lib/model/kv_tail.h"

#include <span>

#include "lib/model/kv_tensors.h"

namespace ra::model {

void KvTail::keep(const KvCache& cache, std::int64_t first) {
  rows_ = cache.size() - first;
  k_.clear();
  v_.clear();
  std::vector<TensorSource> tensors;
  add_kv(tensors, cache, first, rows_);
  for (const TensorSource& tensor : tensors) {
    std::vector<std::byte> rows;
    for (const std::span<const std::byte> piece : tensor.pieces)
      rows.insert(rows.end(), piece.begin(), piece.end());
    if (tensor.name == "k")
      k_.push_back(std::move(rows));
    else if (tensor.name == "v")
      v_.push_back(std::move(rows));
  }
}

void KvTail::put_back(KvCache& cache) const {
  for (int layer = 0; layer < static_cast<int>(k_.size()); ++layer) {
    const auto i = static_cast<std::size_t>(layer);
    cache.append_stored(layer, rows_, rows_, k_[i].data(), v_[i].data(), cache.frame(layer));
  }
}

std::uint64_t KvTail::bytes(const KvCache::Shape& shape, std::int64_t rows) {
  return static_cast<std::uint64_t>(shape.layers) * (k_bytes(shape, rows) + v_bytes(shape, rows));
}

}  // namespace ra::model
