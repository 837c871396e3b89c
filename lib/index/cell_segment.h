// SPDX-License-Identifier: Apache-2.0
// Some consecutive keys in two levels of cells, complete in themselves: what `qivf` appends. Means
// are coded in 8 bits a coordinate; of keys 4 bits are enough to find those that are scored
// exactly.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/mix.h"
#include "kernels/types.h"
#include "lib/core/matrix.h"
#include "lib/index/cells.h"
#include "lib/index/key_codes.h"

namespace ra::index {

inline constexpr std::size_t kMostSegmentKeys = 65536;

class CellSegment {
 public:
  // keys [n, dim], 0 < n <= kMostSegmentKeys, the first of them with the id `first_key`; their
  // values [n, value_dim] or none. key_bits: 8 or 4, or 0 for keys without codes.
  CellSegment(MatView<const float> keys, MatView<const float> values, const Cells& cells,
              std::uint32_t first_key, int key_bits);

  std::uint32_t first_key() const { return first_key_; }
  std::size_t keys() const { return order_.size(); }
  std::uint32_t key_of(std::uint32_t row) const { return first_key_ + order_[row]; }
  // Members of `top` are cells, those of `cell` rows.
  const CellLevel& top() const { return top_; }
  const CellLevel& cell() const { return cell_; }
  const float* log_sizes() const { return log_sizes_.data(); }  // [cells] ln of their rows
  // Of the top cells, with values: ln of their keys, and the means of their values [tops,
  // value_stride(value_dim)], the end of each row 0.
  const float* top_log_sizes() const { return top_log_sizes_.data(); }
  const bf16* top_values() const { return top_values_.data(); }
  static constexpr std::size_t value_stride(std::size_t value_dim) {
    return (value_dim + kernels::kMixElements - 1) / kernels::kMixElements * kernels::kMixElements;
  }
  // Rms distance of the keys of a cell of spread 1 to their mean; 0 without codes of keys.
  float deviation() const { return deviation_; }
  std::size_t bytes() const;
  // The same of `keys` keys in `cells` cells under `tops`.
  static std::size_t bytes_of(std::size_t keys, std::size_t dim, std::size_t cells,
                              std::size_t tops, int key_bits, std::size_t value_dim);

  // Asks for what every search reads first: many small arrays, which would be waited for in turn.
  void prefetch() const;
  void prefetch_values() const;
  void prefetch_cells(std::size_t top) const;
  void prefetch_rows(std::size_t first, std::size_t last) const;

  // Codes of the means of the top cells, from block 0 on, and of the cells, from block
  // first_cell_block() on. Score of a mean or a key = centre(query) + unit * score by its code.
  const KeyCodes& mean_codes() const { return mean_codes_; }
  std::uint32_t first_cell_block() const { return first_cell_block_; }
  float centre(const float* query) const;
  const KeyCodes& key_codes() const { return key_codes_; }

  Cells cells() const;  // what it was made of

 private:
  std::uint32_t first_key_;
  std::vector<std::uint16_t> order_;  // key of each row, from first_key on
  CellLevel top_, cell_;
  std::vector<float> log_sizes_, top_log_sizes_;
  std::vector<bf16> top_values_;
  float deviation_ = 0;
  std::uint32_t first_cell_block_;
  std::vector<float> centre_;  // [dim] what codes are relative to
  KeyCodes mean_codes_, key_codes_;
};

}  // namespace ra::index
