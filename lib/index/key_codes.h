// SPDX-License-Identifier: Apache-2.0
// Keys as a few bytes each: their coordinates in a space of low rank, 8 or 4 bits a coordinate. The
// codes rank keys for a query; what matters is then scored exactly.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/codes.h"
#include "kernels/types.h"
#include "lib/core/matrix.h"
#include "lib/index/query_metric.h"

namespace ra::index {

// coordinates of a key = key_map (k - mean), of a query = query_map q; their inner product
// approximates q.(k - mean).
struct CodeSpace {
  std::vector<float> mean;           // [dim]
  Matrix<float> key_map, query_map;  // [rank, dim]; empty: the identity
};

// The keys' own coordinates: no error but that of rounding.
CodeSpace plain_space(MatView<const float> keys);

// The first `rank` principal axes of the keys in the query metric, where they are x (see
// query_metric.h). Of all spaces of that rank it has the least mean squared score error over the
// training queries; the axes of the keys alone (as in Loki, arXiv 2406.02542) do not.
CodeSpace low_rank_space(const QueryMetric& metric, MatView<const float> x, std::size_t rank);

class KeyCodes {
 public:
  KeyCodes() = default;
  // Rows are padded to whole blocks of kernels::kCodeKeys. bits: 8 or 4. dim: at most
  // kernels::kMostCodeRank.
  KeyCodes(const CodeSpace& space, MatView<const float> keys, int bits);

  std::size_t rows() const { return rows_; }
  std::size_t blocks() const;
  std::size_t rank() const { return rank_; }
  std::size_t block_bytes() const { return kernels::code_block_bytes(rank_, bits_); }
  std::size_t bytes() const;
  // The same of `rows` keys in a space of that rank, without its query map.
  static std::size_t bytes_of(std::size_t rows, std::size_t rank, int bits);

  // Codes [rank()] of one query [dim] for score(). Returns the unit: what a score of 1 stands for.
  float encode(const float* query, std::int8_t* out) const;
  // What row i stands for in the space, [rank()]: keys less the space's mean where that is the
  // identity.
  void decode(std::size_t i, float* out) const;

  // Approximate scores of query codes [group, rank()] with the first `n` blocks, or with blocks
  // first + `ids`: out[g * out_stride + 16 j + key]. Without a rule they are in units, and rows of
  // padding score as an average key does.
  void score_first(const std::int8_t* queries, std::size_t group, std::size_t n, float* out,
                   std::size_t out_stride, const kernels::ScoreRule* rule = nullptr) const;
  void score(const std::int8_t* queries, std::size_t group, std::span<const std::uint32_t> ids,
             float* out, std::size_t out_stride, const kernels::ScoreRule* rule = nullptr,
             std::size_t first = 0) const;
  // Asks for the blocks that hold rows [first, last), and for what encode() reads where the space
  // is the keys' own.
  void prefetch(std::size_t first, std::size_t last) const;
  void prefetch_steps() const;
  // Rows of blocks `ids`, or of blocks [first, blocks()), all ascending, that score at least
  // floors[g] with any query g, in rows[0 ..), which has room for 16 a block; padding left out.
  // Returns how many. group <= kernels::kMostFilterQueries.
  std::size_t at_least(const std::int8_t* queries, std::size_t group,
                       std::span<const std::uint32_t> ids, const float* floors,
                       std::uint32_t* rows) const;
  std::size_t at_least_from(const std::int8_t* queries, std::size_t group, std::size_t first,
                            const float* floors, std::uint32_t* rows) const;

 private:
  void fit_steps(const Matrix<float>& z);
  void pack(const Matrix<float>& z);
  kernels::CodeArgs args(const std::int8_t* queries, std::size_t group) const;
  void score(kernels::CodeArgs a, float* out, std::size_t out_stride,
             const kernels::ScoreRule* rule) const;
  std::size_t at_least(const kernels::CodeArgs& a, const float* floors, std::uint32_t* rows) const;

  std::size_t rows_ = 0, dim_ = 0, rank_ = 0;
  int bits_ = 8;
  std::vector<float> steps_;  // [rank] of the coordinates
  Matrix<float> query_map_;   // [rank, dim], times the steps; empty for the identity
  AlignedBuffer<std::uint8_t> codes_;
};

}  // namespace ra::index
