// SPDX-License-Identifier: Apache-2.0
// Second moments of the queries of a prefill, gathered while it runs: all that an index in the
// query metric needs to know of them, at a fixed size and without the queries themselves.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "lib/core/matrix.h"
#include "lib/model/config.h"
#include "lib/model/qkv_sink.h"

namespace ra::attention {

class QueryMoments : public model::QkvSink {
 public:
  // Of every kStride-th position; `span` positions are summed together, so that an index over some
  // of the positions can be made by the queries of these.
  static constexpr std::int64_t kStride = 4;
  QueryMoments(const model::Config& config, std::int64_t span);

  void on_qkv(const model::QkvView& view) override;

  // Mean of q q^T, [head_dim, head_dim], over the spans that lie in positions [begin, end), or, if
  // there is none, the one that holds `begin`; with spans before them while the queries are too few
  // for a metric (2 head_dim).
  Matrix<float> mean(int layer, int head, std::int64_t begin, std::int64_t end) const;
  std::int64_t queries() const { return queries_; }  // positions counted in all
  std::size_t bytes() const;

 private:
  struct Span {
    std::vector<Matrix<float>> sums;   // per layer [heads * head_dim, head_dim]
    std::vector<std::int64_t> counts;  // per layer
  };
  Span& span_at(std::int64_t pos);
  void add(const model::QkvView& view, std::int64_t first, std::int64_t last, Span& span);

  std::size_t layers_, heads_, dim_;
  std::int64_t length_, queries_ = 0;
  std::vector<Span> spans_;
};

}  // namespace ra::attention
