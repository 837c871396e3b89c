// SPDX-License-Identifier: Apache-2.0
#include "lib/index/segment_list.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "kernels/codes.h"
#include "kernels/ops.h"
#include "lib/core/error.h"

namespace ra::index {
namespace {

constexpr std::uint32_t kKeys = kernels::kCodeKeys;

template <class T>
T* fit(std::vector<T>& v, std::size_t n) {
  if (v.size() < n) v.resize(n);
  return v.data();
}

// Standard deviation of a query's scores between the top cells, weighted with their cells.
float score_spread(const CellLevel& top, const float* scores) {
  float sum = 0, square = 0, n = 0;
  for (std::size_t t = 0; t < top.count(); ++t) {
    const auto weight = static_cast<float>(top.begin[t + 1] - top.begin[t]);
    const float score = scores[t] - scores[0];
    n += weight;
    sum += weight * score;
    square += weight * score * score;
  }
  const float mean = sum / n;
  return std::sqrt(std::max(0.0f, square / n - mean * mean));
}

// Adds the blocks that hold members [first, last) of the last part, where they are not there yet.
// Returns the place of member `first` among the scores of all blocks.
std::size_t add_blocks(std::uint32_t first, std::uint32_t last, ProbeScratch::Part& part,
                       std::vector<std::uint32_t>& blocks) {
  std::uint32_t block = first / kKeys;
  const bool there = blocks.size() > part.first && blocks.back() == block;
  const std::size_t at = (blocks.size() - (there ? 1 : 0)) * kKeys + first % kKeys;
  for (block += there ? 1 : 0; block * kKeys < last; ++block) blocks.push_back(block);
  part.last = blocks.size();
  return at;
}

// Scores of encoded queries with some blocks, in units, and what that costs.
void score_blocks(const KeyCodes& codes, const std::int8_t* queries, std::size_t group,
                  std::span<const std::uint32_t> blocks, float* out, std::size_t stride,
                  SearchStats& stats) {
  codes.score(queries, group, blocks, out, stride);
  std::size_t scored = blocks.size() * kKeys;
  if (!blocks.empty() && blocks.back() + 1 == codes.blocks())
    scored -= codes.blocks() * kKeys - codes.rows();  // padding
  stats.distances += static_cast<std::int64_t>(scored * group);
  stats.coded += static_cast<std::int64_t>(scored * group);
  stats.bytes += static_cast<std::int64_t>(blocks.size() * codes.block_bytes());
}

void encode(const KeyCodes& codes, MatView<const float> queries, std::int8_t* out, float* units) {
  for (std::size_t r = 0; r < queries.rows; ++r)
    units[r] = codes.encode(queries.row(r), out + r * codes.rank());
}

// The least score by code whose score, base + unit * it, is at least a floor: a little less, since
// sums are rounded.
float floor_by_code(float floor, float base, float unit) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  if (!(unit > 0)) return base >= floor ? -kInfinity : kInfinity;
  const float least = (floor - base) / unit;
  return least - 1e-5f * std::abs(least);
}

}  // namespace

void SegmentList::add(CellSegment segment) {
  RA_CHECK(segment.first_key() == keys());
  tops_.push_back(tops_.back() + segment.top().count());
  cells_.push_back(cells_.back() + segment.cell().count());
  segments_.push_back(std::move(segment));
}

void SegmentList::shrink(std::size_t n) {
  while (!segments_.empty() && segments_.back().first_key() >= n) {
    segments_.pop_back();
    tops_.pop_back();
    cells_.pop_back();
  }
  RA_CHECK(!segments_.empty() && keys() == n);
}

std::size_t SegmentList::keys() const {
  return segments_.empty() ? 0 : segments_.back().first_key() + segments_.back().keys();
}

std::size_t SegmentList::bytes() const {
  std::size_t sum = 0;
  for (const CellSegment& segment : segments_) sum += segment.bytes();
  return sum;
}

void SegmentList::probe(MatView<const float> queries, const ProbeOptions& o, ProbeScratch& s,
                        SearchStats& stats) const {
  s.found.clear();
  if (queries.rows == 0) return;
  RA_CHECK(queries.rows <= kMostProbing);
  open_tops(queries, o, s, stats);
  gather_cells(s);
  score_cells(queries.rows, s, stats);
  pick_cells(queries.rows, o, s);
  stats.hops += static_cast<std::int64_t>(s.cells.size());
  if (segments_.front().key_codes().rows() == 0) {
    for (const ProbeScratch::Cell& c : s.cells) {
      const CellSegment& segment = segments_[s.key_parts[c.part].segment];
      const auto& begin = segment.cell().begin;
      for (std::uint32_t row = begin[c.cell]; row < begin[c.cell + 1]; ++row)
        s.found.push_back(segment.key_of(row));
    }
    return;
  }
  score_keys(queries, s, stats);
  keep_keys(queries.rows, o.keep, s);
}

// The tops of all segments that look best to any query, in s.open; queries encoded on the way.
void SegmentList::open_tops(MatView<const float> queries, const ProbeOptions& o, ProbeScratch& s,
                            SearchStats& stats) const {
  const std::size_t group = queries.rows, tops = tops_.back(), count = segments_.size();
  std::int8_t* codes = fit(s.mean_codes, count * group * mean_rank());
  float *units = fit(s.mean_units, count * group), *centres = fit(s.centres, count * group),
        *spread = fit(s.spread, count * group), *promise = fit(s.tops, group * tops);
  for (std::size_t i = 0; i < count; ++i) {
    const CellSegment& segment = segments_[i];
    encode(segment.mean_codes(), queries, codes + i * group * mean_rank(), units + i * group);
    s.blocks.resize(segment.first_cell_block());
    std::iota(s.blocks.begin(), s.blocks.end(), 0u);
    const std::size_t stride = s.blocks.size() * kKeys;
    float* scores = fit(s.top_scores, group * stride);
    score_blocks(segment.mean_codes(), codes + i * group * mean_rank(), group, s.blocks, scores,
                 stride, stats);
    for (std::size_t r = 0; r < group; ++r) {
      const std::size_t at = i * group + r;
      centres[at] = segment.centre(queries.row(r));
      float* row = scores + r * stride;
      for (std::size_t t = 0; t < segment.top().count(); ++t)
        row[t] = centres[at] + units[at] * row[t];
      spread[at] = o.reach * score_spread(segment.top(), row);
      for (std::size_t t = 0; t < segment.top().count(); ++t)
        promise[r * tops + tops_[i] + t] = row[t] + spread[at] * segment.top().spread[t];
    }
  }
  const double wanted = std::ceil(static_cast<double>(o.open) * static_cast<double>(o.probes) *
                                  static_cast<double>(tops) / static_cast<double>(cells_.back()));
  const bool all = wanted >= static_cast<double>(tops);
  s.open.assign(tops, all);
  for (std::size_t r = 0; !all && r < group; ++r)
    for (const std::uint32_t t :
         cut({promise + r * tops, tops}, static_cast<std::size_t>(wanted), s.cut))
      s.open[t] = 1;
}

// Blocks of the cells below the open tops, in s.cell_blocks.
void SegmentList::gather_cells(ProbeScratch& s) const {
  s.cell_blocks.clear();
  s.cell_parts.clear();
  for (std::size_t i = 0; i < segments_.size(); ++i) {
    const auto& begin = segments_[i].top().begin;
    ProbeScratch::Part part{i, s.cell_blocks.size(), s.cell_blocks.size()};
    for (std::size_t t = 0; t < segments_[i].top().count(); ++t)
      if (s.open[tops_[i] + t] != 0) add_blocks(begin[t], begin[t + 1], part, s.cell_blocks);
    if (part.last > part.first) s.cell_parts.push_back(part);
  }
}

// s.means = scores of the means of all cells in the open blocks.
void SegmentList::score_cells(std::size_t group, ProbeScratch& s, SearchStats& stats) const {
  const std::size_t stride = s.cell_blocks.size() * kKeys;
  float* means = fit(s.means, group * stride);
  for (const ProbeScratch::Part& part : s.cell_parts) {
    const CellSegment& segment = segments_[part.segment];
    const std::size_t n = part.last - part.first;
    s.blocks.assign(s.cell_blocks.begin() + static_cast<std::ptrdiff_t>(part.first),
                    s.cell_blocks.begin() + static_cast<std::ptrdiff_t>(part.last));
    for (std::uint32_t& block : s.blocks) block += segment.first_cell_block();
    score_blocks(segment.mean_codes(), &s.mean_codes[part.segment * group * mean_rank()], group,
                 s.blocks, means + part.first * kKeys, stride, stats);
    for (std::size_t r = 0; r < group; ++r) {
      const float centre = s.centres[part.segment * group + r],
                  unit = s.mean_units[part.segment * group + r];
      float* row = means + r * stride + part.first * kKeys;
      for (std::size_t i = 0; i < n * kKeys; ++i) row[i] = centre + unit * row[i];
    }
  }
}

// s.cells = the most promising cells of each query, each once; s.key_blocks = their rows.
void SegmentList::pick_cells(std::size_t group, const ProbeOptions& o, ProbeScratch& s) const {
  const std::size_t stride = s.cell_blocks.size() * kKeys;
  float* promise = fit(s.promise, stride);
  std::uint16_t* owners = fit(s.owners, stride);
  std::fill_n(owners, stride, std::uint16_t{0});
  for (std::size_t r = 0; r < group; ++r) {
    for (const ProbeScratch::Part& part : s.cell_parts) {
      const CellLevel& cell = segments_[part.segment].cell();
      const float unit = s.spread[part.segment * group + r];
      for (std::size_t b = part.first; b < part.last; ++b) {
        const std::size_t from = s.cell_blocks[b] * kKeys,
                          n = std::min<std::size_t>(kKeys, cell.count() - from);
        const float* means = &s.means[r * stride + b * kKeys];
        for (std::size_t j = 0; j < n; ++j)
          promise[b * kKeys + j] = means[j] + unit * cell.spread[from + j];
        std::fill_n(promise + b * kKeys + n, kKeys - n, -std::numeric_limits<float>::infinity());
      }
    }
    for (const std::uint32_t at : cut({promise, stride}, o.probes, s.cut))
      owners[at] |= static_cast<std::uint16_t>(1u << r);
  }
  s.cells.clear();
  s.key_blocks.clear();
  s.key_parts.clear();
  for (const ProbeScratch::Part& open : s.cell_parts) {
    const CellLevel& cell = segments_[open.segment].cell();
    ProbeScratch::Part part{open.segment, s.key_blocks.size(), s.key_blocks.size()};
    const auto number = static_cast<std::uint32_t>(s.key_parts.size());
    for (std::size_t b = open.first; b < open.last; ++b)
      for (std::uint32_t j = 0; j < kKeys; ++j) {
        const std::uint32_t c = s.cell_blocks[b] * kKeys + j;
        const std::size_t mean = b * kKeys + j;
        if (owners[mean] == 0 || c >= cell.count()) continue;
        const std::size_t row = add_blocks(cell.begin[c], cell.begin[c + 1], part, s.key_blocks);
        s.cells.push_back({number, c, static_cast<std::uint32_t>(row),
                           static_cast<std::uint32_t>(mean), owners[mean]});
      }
    if (part.last > part.first) s.key_parts.push_back(part);
  }
}

// s.key_scores = scores, in units, of all rows in the blocks of the picked cells.
void SegmentList::score_keys(MatView<const float> queries, ProbeScratch& s,
                             SearchStats& stats) const {
  const std::size_t group = queries.rows, stride = s.key_blocks.size() * kKeys;
  float *scores = fit(s.key_scores, group * stride),
        *units = fit(s.key_units, group * s.key_parts.size());
  std::int8_t* codes = fit(s.key_codes, group * segments_.front().key_codes().rank());
  for (std::size_t p = 0; p < s.key_parts.size(); ++p) {
    const auto [segment, first, last] = s.key_parts[p];
    const KeyCodes& of = segments_[segment].key_codes();
    encode(of, queries, codes, units + p * group);
    score_blocks(of, codes, group, std::span(s.key_blocks).subspan(first, last - first),
                 scores + first * kKeys, stride, stats);
  }
}

// The best rows of all picked cells for each query: those that are as good as the `keep`-th best of
// the cells it picked itself.
void SegmentList::keep_keys(std::size_t group, std::size_t keep, ProbeScratch& s) const {
  const kernels::OpTable& ops = kernels::ops();
  const std::size_t cell_stride = s.cell_blocks.size() * kKeys,
                    key_stride = s.key_blocks.size() * kKeys;
  std::size_t total = 0;
  s.all.clear();
  for (const ProbeScratch::Cell& c : s.cells) {
    s.all.push_back({c.row, segments_[s.key_parts[c.part].segment].cell().size(c.cell), 0, 0});
    total += s.all.back().rows;
  }
  float *rows = fit(s.rows, total), *rest = fit(s.promise, total),
        *floors = fit(s.floors, s.cells.size() * group);
  for (std::size_t r = 0; r < group; ++r) {
    const float* means = &s.means[r * cell_stride];
    const float* units = &s.key_units[r];
    std::size_t own = 0;
    s.runs.clear();
    for (std::size_t i = 0; i < s.cells.size(); ++i) {
      const ProbeScratch::Cell& c = s.cells[i];
      if ((c.owners >> r & 1) == 0) continue;
      s.runs.push_back({c.row, s.all[i].rows, means[c.mean], units[c.part * group]});
      own += s.all[i].rows;
    }
    ops.run_scores(&s.key_scores[r * key_stride], s.runs.data(), s.runs.size(), rows);
    const float floor = ops.kth_largest(rows, own, std::min(keep, own), rest);
    for (std::size_t i = 0; i < s.cells.size(); ++i) {
      const ProbeScratch::Cell& c = s.cells[i];
      floors[i * group + r] = floor_by_code(floor, means[c.mean], units[c.part * group]);
    }
  }
  std::uint32_t* kept = fit(s.kept, total);
  const std::size_t count = ops.runs_at_least({.scores = s.key_scores.data(),
                                               .stride = key_stride,
                                               .group = group,
                                               .runs = s.all.data(),
                                               .n = s.all.size(),
                                               .floors = floors,
                                               .out = kept});
  std::uint32_t first = 0;  // number of the first row of cells[c]
  for (std::size_t i = 0, c = 0; i < count; ++i) {
    while (kept[i] >= first + s.all[c].rows) first += s.all[c++].rows;
    const CellSegment& segment = segments_[s.key_parts[s.cells[c].part].segment];
    s.found.push_back(segment.key_of(segment.cell().begin[s.cells[c].cell] + kept[i] - first));
  }
}

}  // namespace ra::index
