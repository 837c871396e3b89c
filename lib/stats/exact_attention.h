// SPDX-License-Identifier: Apache-2.0
// The exact reference of one query head: top-k keys, softmax normalisers and the attention output.
// K is the indexed set (every query sees all of it), S the static set (sink, window and everything
// after the last indexed key, as far as the query may see). Products are accumulated in f64, so the
// order of summation does not decide; scores are then rounded to f32, and equal ones are ties.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "kernels/types.h"
#include "lib/core/matrix.h"

namespace ra::stats {

struct HeadData {
  MatView<const float> queries;        // [m, d]
  MatView<const float> keys;           // [n, d] K
  MatView<const float> values;         // [n, dv] of K; no rows: no outputs are computed
  MatView<const float> static_keys;    // [s, d] S, ascending positions; may be empty
  MatView<const float> static_values;  // [s, dv]; may be empty
  std::vector<std::size_t> visible;  // [m]: query i sees the first visible[i] rows of S; empty = 0
  double scale = 1;                  // logit = scale * (q . k)
};

struct ExactReference {
  std::size_t k = 0;
  std::vector<std::uint32_t> ids;  // [m, k] rows of K, best first, ties to the smaller id
  std::vector<float> scores;       // [m, k] inner products
  std::vector<float> max_abs;      // [m] largest |q . k| over K
  std::vector<double> lse_keys;    // [m] log of the softmax denominator over K
  std::vector<double> lse_static;  // [m] over S; -infinity if S is empty
  Matrix<float> output;            // [m, dv] attention over S and K; empty without values
  Matrix<float> static_output;     // [m, dv] attention over S alone, zero if S is empty

  std::span<const std::uint32_t> top_ids(std::size_t query) const {
    return std::span(ids).subspan(query * k, k);
  }
  std::span<const float> top_scores(std::size_t query) const {
    return std::span(scores).subspan(query * k, k);
  }
};

// Requires 1 <= k <= n (less one if `skip` is set). skip[i] (may be empty) is a row of K left out
// of the top k of query i: the self-match of a key used as a query. Blocks of queries run in
// parallel; memory is some 32 MiB of scores per thread.
ExactReference exact_reference(const HeadData& head, std::size_t k,
                               std::span<const std::uint32_t> skip = {});

// The k best of `scores` (rounded to f32), best first, ties to the smaller id. `skip` >= size
// leaves nothing out. Writes k entries to ids and to best. Requires enough scores.
void exact_top_k(std::span<const double> scores, std::size_t k, std::size_t skip,
                 std::uint32_t* ids, float* best);

// Calls body(first, scores) in parallel for blocks of queries first, first + 1, ...: scores
// [rows of the block, rows of keys] = q . k in f64. The block is the body's own to change.
void for_each_score_block(
    MatView<const float> queries, MatView<const float> keys,
    const std::function<void(std::size_t first, MatView<double> scores)>& body);

// Replaces scores by exp(scale * score - max) and returns max and their sum; {-infinity, 0} for an
// empty set. log of the denominator = max + log(sum).
struct SoftmaxScale {
  double max, sum;
  double lse() const;
};
SoftmaxScale to_weights(std::span<double> scores, double scale);

}  // namespace ra::stats
