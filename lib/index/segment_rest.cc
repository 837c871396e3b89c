// SPDX-License-Identifier: Apache-2.0
// What a query's attention to the keys below its floor comes to: of each top cell a weight, from
// its cells' logits taken as normal (kernels::mass_below), times the mean of its values (the
// estimation zone of RetroInfer, arXiv 2505.02922, with a normal law cut off where reading begins
// instead of a list of what was read). Keys below a query's floor that are read for another query
// of the group count twice: a tenth of the error that is left.
#include <algorithm>

#include "kernels/mass.h"
#include "kernels/ops.h"
#include "lib/index/segment_list.h"

namespace ra::index {
namespace {

constexpr std::uint32_t kKeys = kernels::kCodeKeys;

}  // namespace

void SegmentList::estimate_rest(std::size_t group, const ProbeOptions& o, ProbeScratch& s,
                                SearchStats& stats) const {
  const std::size_t tops = tops_.back(), stride = CellSegment::value_stride(value_dim_);
  float *floors = fit(s.logit_floors, group), *weights = fit(s.weights, group * tops);
  for (std::size_t r = 0; r < group; ++r) floors[r] = s.floors[r] * o.share->scale;
  weigh_tops(group, o, s);
  weigh_open_tops(group, o, s);
  s.rest.stride = stride;
  s.rest.values.assign(group * stride, 0.0f);
  for (std::size_t i = 0; i < segments_.size(); ++i)
    kernels::ops().mix_rows({.weights = weights + tops_[i],
                             .weight_stride = tops,
                             .group = group,
                             .rows = segments_[i].top_values(),
                             .n = segments_[i].top().count(),
                             .dim = stride,
                             .out = s.rest.values.data(),
                             .out_stride = stride});
  s.rest.sums.assign(group, 0.0f);
  const std::uint32_t first = 0, last = static_cast<std::uint32_t>(tops);
  kernels::ops().sum_ranges({.x = weights,
                             .stride = tops,
                             .group = group,
                             .first = &first,
                             .last = &last,
                             .ranges = 1,
                             .out = s.rest.sums.data(),
                             .out_stride = 1});
  stats.bytes += static_cast<std::int64_t>(tops * stride * sizeof(bf16));
}

// s.weights of all top cells from their own means, where one of them is not open.
void SegmentList::weigh_tops(std::size_t group, const ProbeOptions& o, ProbeScratch& s) const {
  if (std::ranges::all_of(s.open, [](std::uint8_t open) { return open != 0; })) return;
  fit(s.top_peaks, group);
  fit(s.mass, group);
  for (std::size_t i = 0; i < segments_.size(); ++i) {
    const kernels::MassArgs tops{.promise = &s.tops[tops_[i]],
                                 .stride = tops_.back(),
                                 .group = group,
                                 .n = segments_[i].top().count(),
                                 .gain = &s.spread[i * group],
                                 .spread = segments_[i].top().spread.data(),
                                 .log_size = segments_[i].top_log_sizes(),
                                 .scale = o.share->scale,
                                 .reach = o.reach,
                                 .each = &s.weights[tops_[i]],
                                 .peaks = s.top_peaks.data()};
    kernels::ops().log_mass(tops, s.mass.data());
    kernels::ops().mass_below({tops, s.logit_floors.data()}, tops.each);
  }
}

// s.weights of the open ones from their cells.
void SegmentList::weigh_open_tops(std::size_t group, const ProbeOptions& o, ProbeScratch& s) const {
  for (std::size_t p = 0; p < s.cell_parts.size(); ++p) {
    const ProbeScratch::Part& part = s.cell_parts[p];
    const kernels::MassArgs cells = masses(p, group, o, s);
    kernels::ops().mass_below({cells, s.logit_floors.data()}, cells.each);
    // Blocks of a top follow each other.
    const CellLevel& top = segments_[part.segment].top();
    std::uint32_t *first = fit(s.first_cells, top.count()), *last = fit(s.last_cells, top.count());
    std::size_t block = part.first;
    for (std::size_t t = 0; t < top.count(); ++t) {
      first[t] = last[t] = 0;
      if (s.open[tops_[part.segment] + t] == 0) continue;
      while (s.cell_blocks[block] < top.begin[t] / kKeys) ++block;
      first[t] = static_cast<std::uint32_t>((block - part.first) * kKeys) + top.begin[t] % kKeys;
      last[t] = first[t] + top.size(t);
    }
    kernels::ops().sum_ranges({.x = cells.each,
                               .stride = cells.stride,
                               .group = group,
                               .first = first,
                               .last = last,
                               .ranges = top.count(),
                               .out = &s.weights[tops_[part.segment]],
                               .out_stride = tops_.back()});
  }
}

}  // namespace ra::index
