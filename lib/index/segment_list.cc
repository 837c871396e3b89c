// SPDX-License-Identifier: Apache-2.0
#include "lib/index/segment_list.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <utility>

#include "kernels/codes.h"
#include "kernels/ops.h"
#include "lib/core/clock.h"
#include "lib/core/error.h"
#include "lib/index/row_fetch.h"
#include "lib/index/sample_floor.h"

namespace ra::index {
namespace {

constexpr std::uint32_t kKeys = kernels::kCodeKeys;

// Of the key blocks one in so many is scored first; from its scores comes the floor for the others,
// whose scores are never written down.
constexpr std::size_t kSampled = 4;

// A cell is read where a key at the reach of its promise would take this many times the share that
// makes a key worth reading.
constexpr float kCellShares = 2;

// Standard deviation of a query's scores between the top cells, weighted with their cells.
float score_spread(const CellLevel& top, const float* scores) {
  const std::uint32_t* begin = top.begin.data();
  const std::size_t count = top.count();
  const float shift = scores[0];
  float sum = 0, square = 0;
#pragma omp simd reduction(+ : sum, square)
  for (std::size_t t = 0; t < count; ++t) {
    const float score = scores[t] - shift,
                weighted =
                    static_cast<float>(static_cast<std::int32_t>(begin[t + 1] - begin[t])) * score;
    sum += weighted;
    square += weighted * score;
  }
  const auto n = static_cast<float>(begin[count]);
  return std::sqrt(std::max(0.0f, square / n - sum / n * (sum / n)));
}

// Adds the blocks that hold members [first, last) of the last part, where they are not there yet.
void add_blocks(std::uint32_t first, std::uint32_t last, ProbeScratch::Part& part,
                std::vector<std::uint32_t>& blocks) {
  std::uint32_t block = first / kKeys;
  if (blocks.size() > part.first && blocks.back() == block) ++block;
  for (; block * kKeys < last; ++block) blocks.push_back(block);
  part.last = blocks.size();
}

// What scoring some blocks of codes costs; `end` is one more than the last of them.
void count_blocks(const KeyCodes& codes, std::size_t group, std::size_t blocks, std::size_t end,
                  SearchStats& stats) {
  std::size_t scored = blocks * kKeys;
  if (end == codes.blocks()) scored -= end * kKeys - codes.rows();  // padding
  stats.distances += static_cast<std::int64_t>(scored * group);
  stats.coded += static_cast<std::int64_t>(scored * group);
  stats.bytes += static_cast<std::int64_t>(blocks * codes.block_bytes());
}

void encode(const KeyCodes& codes, MatView<const float> queries, std::int8_t* out, float* units) {
  for (std::size_t r = 0; r < queries.rows; ++r)
    units[r] = codes.encode(queries.row(r), out + r * codes.rank());
}

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// The least score by code whose score, base + unit * it, is at least a floor: a little less, since
// sums are rounded.
float floor_by_code(float floor, float base, float unit) {
  if (!(unit > 0)) return base >= floor ? -kInfinity : kInfinity;
  const float least = (floor - base) / unit;
  return least - 1e-5f * std::abs(least);
}

// ln(exp(a) + exp(b)).
float log_add(float a, float b) {
  const float most = std::max(a, b);
  return std::isinf(most) ? most : most + std::log1p(std::exp(std::min(a, b) - most));
}

void keep_key(std::uint32_t key, const RowFetch* fetch, std::vector<std::uint32_t>& found) {
  found.push_back(key);
  if (fetch != nullptr) fetch->ask(key);
}

}  // namespace

void SegmentList::add(MatView<const float> keys, MatView<const float> values, const Cells& cells,
                      MatView<const float> metric, int key_bits) {
  RA_CHECK(segments_.empty() || value_dim_ == values.cols);
  value_dim_ = values.cols;
  CellSegment segment(keys, values, cells, static_cast<std::uint32_t>(this->keys()), key_bits);
  if (key_bits > 0) shapes_.emplace_back(keys, cells, metric);
  tops_.push_back(tops_.back() + segment.top().count());
  cells_.push_back(cells_.back() + segment.cell().count());
  segments_.push_back(std::move(segment));
}

void SegmentList::shrink(std::size_t n) {
  while (!segments_.empty() && segments_.back().first_key() >= n) {
    segments_.pop_back();
    if (!shapes_.empty()) shapes_.pop_back();
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
  for (const CellShape& shape : shapes_) sum += shape.bytes();
  for (const CellSegment& segment : segments_) sum += segment.bytes();
  return sum;
}

void SegmentList::probe(MatView<const float> queries, const ProbeOptions& o, ProbeScratch& s,
                        SearchStats& stats) const {
  s.found.clear();
  s.rest.clear();
  if (queries.rows == 0) return;
  RA_CHECK(queries.rows <= kMostProbing);
  Stopwatch watch;
  open_tops(queries, o, s, stats);
  if (o.share != nullptr) {
    if (wants_rest(o))
      for (const CellSegment& segment : segments_) segment.prefetch_values();
    spread_by_share(queries, o, s);
  }
  gather_cells(s);
  score_cells(queries.rows, s, stats);
  stats.times.cells += watch.lap();
  if (o.share != nullptr) {
    set_floors(queries.rows, o, s);
    pick_by_share(queries.rows, s);
    if (wants_rest(o)) estimate_rest(queries.rows, o, s, stats);
  } else {
    pick_cells(queries.rows, o, s);
  }
  stats.times.pick += watch.lap();
  stats.hops += static_cast<std::int64_t>(s.cells.size());
  if (segments_.front().key_codes().rows() == 0) {
    for (const ProbeScratch::Cell& c : s.cells) {
      const CellSegment& segment = segments_[c.segment];
      const auto& begin = segment.cell().begin;
      for (std::uint32_t row = begin[c.cell]; row < begin[c.cell + 1]; ++row)
        s.found.push_back(segment.key_of(row));
    }
    return;
  }
  encode_for_keys(queries, s);
  if (o.share != nullptr) {
    s.step = 0;
    keep_keys(queries.rows, o.fetch, s, stats);
    stats.times.filter += watch.lap();
    return;
  }
  s.step = sample_sets_floor(s.key_blocks.size() * kKeys, o.keep, kSampled) ? kSampled : 1;
  find_floors(queries.rows, o.keep, s, stats);
  keep_sampled(o.fetch, s);
  stats.times.floor += watch.lap();
  keep_keys(queries.rows, o.fetch, s, stats);
  stats.times.filter += watch.lap();
}

// The tops of all segments that look best to any query, in s.open; queries encoded on the way.
void SegmentList::open_tops(MatView<const float> queries, const ProbeOptions& o, ProbeScratch& s,
                            SearchStats& stats) const {
  const std::size_t group = queries.rows, tops = tops_.back(), count = segments_.size();
  std::int8_t* codes = fit(s.mean_codes, count * group * mean_rank());
  float *units = fit(s.mean_units, count * group), *centres = fit(s.centres, count * group),
        *spread = fit(s.spread, count * group), *promise = fit(s.tops, group * tops);
  for (const CellSegment& segment : segments_) segment.prefetch();
  for (std::size_t i = 0; i < count; ++i) {
    const CellSegment& segment = segments_[i];
    encode(segment.mean_codes(), queries, codes + i * group * mean_rank(), units + i * group);
    for (std::size_t r = 0; r < group; ++r) centres[i * group + r] = segment.centre(queries.row(r));
    const std::size_t blocks = segment.first_cell_block(), stride = blocks * kKeys;
    float* scores = fit(s.top_scores, group * stride);
    const kernels::ScoreRule rule{
        .base = centres + i * group, .unit = units + i * group, .rows = segment.top().count()};
    segment.mean_codes().score_first(codes + i * group * mean_rank(), group, blocks, scores, stride,
                                     &rule);
    count_blocks(segment.mean_codes(), group, blocks, blocks, stats);
    for (std::size_t r = 0; r < group; ++r) {
      const CellLevel& top = segment.top();
      const float *row = scores + r * stride, *of_top = top.spread.data();
      const float gain = spread[i * group + r] = o.reach * score_spread(top, row);
      float* to = promise + r * tops + tops_[i];
      for (std::size_t t = 0, n = top.count(); t < n; ++t) to[t] = row[t] + gain * of_top[t];
    }
  }
  const double wanted = std::ceil(static_cast<double>(o.open) * static_cast<double>(o.probes) *
                                  static_cast<double>(tops) / static_cast<double>(cells_.back()));
  // A third for each of a group is most of them for all.
  const bool all = wanted >= static_cast<double>(tops) / (group > 1 ? 3 : 1);
  s.open.assign(tops, all);
  for (std::size_t r = 0; !all && r < group; ++r) {
    std::size_t i = 0;
    for (const std::uint32_t t :
         cut({promise + r * tops, tops}, static_cast<std::size_t>(wanted), s.cut)) {
      if (s.open[t] != 0) continue;
      s.open[t] = 1;
      // Its cells are asked for while the next queries choose.
      while (t >= tops_[i + 1]) ++i;
      segments_[i].prefetch_cells(t - tops_[i]);
    }
  }
}

// s.spread as the keys within cells have it, and s.tops by it where they tell of the rest. The
// tops' spread would miss where a query tells the keys of a cell apart better than it tells cells
// apart.
void SegmentList::spread_by_share(MatView<const float> queries, const ProbeOptions& o,
                                  ProbeScratch& s) const {
  const std::size_t group = queries.rows;
  std::size_t last = shapes_.size() - 1;
  while (last > 0 && shapes_[last].points()) --last;
  for (std::size_t r = 0; r < group; ++r) {
    const float deviation = o.reach * shapes_[last].deviation(queries.row(r));
    for (std::size_t i = 0; i < segments_.size(); ++i) {
      float& gain = s.spread[i * group + r];
      const float more = deviation * segments_[i].deviation() - gain;
      gain += more;
      if (!wants_rest(o)) continue;
      const CellLevel& top = segments_[i].top();
      float* promise = &s.tops[r * tops_.back() + tops_[i]];
      for (std::size_t t = 0; t < top.count(); ++t) promise[t] += more * top.spread[t];
    }
  }
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

// s.promise of all cells in the open blocks: the score of the mean and what it may gain.
void SegmentList::score_cells(std::size_t group, ProbeScratch& s, SearchStats& stats) const {
  const std::size_t stride = s.cell_blocks.size() * kKeys;
  float* promise = fit(s.promise, group * stride);
  for (const ProbeScratch::Part& part : s.cell_parts) {
    const CellSegment& segment = segments_[part.segment];
    const std::size_t at = part.segment * group, first = segment.first_cell_block();
    const kernels::ScoreRule rule{.base = &s.centres[at],
                                  .unit = &s.mean_units[at],
                                  .gain = &s.spread[at],
                                  .spread = segment.cell().spread.data(),
                                  .rows = segment.cell().count()};
    const auto blocks = std::span(s.cell_blocks).subspan(part.first, part.last - part.first);
    segment.mean_codes().score(&s.mean_codes[at * mean_rank()], group, blocks,
                               promise + part.first * kKeys, stride, &rule, first);
    count_blocks(segment.mean_codes(), group, blocks.size(), first + blocks.back() + 1, stats);
  }
}

// s.cells = the most promising cells of each query, each once; s.key_blocks = their rows.
void SegmentList::pick_cells(std::size_t group, const ProbeOptions& o, ProbeScratch& s) const {
  const std::size_t stride = s.cell_blocks.size() * kKeys;
  static_assert(kKeys == 16);  // bits of a mask
  s.picked.assign(s.cell_blocks.size(), 0);
  for (std::size_t r = 0; r < group; ++r) {
    std::size_t p = 0;
    for (const std::uint32_t at : cut({&s.promise[r * stride], stride}, o.probes, s.cut)) {
      std::uint16_t& of_block = s.picked[at / kKeys];
      const auto bit = static_cast<std::uint16_t>(1u << at % kKeys);
      if ((of_block & bit) != 0) continue;
      of_block |= bit;
      // Its keys are asked for while the next queries pick.
      while (at >= s.cell_parts[p].last * kKeys) ++p;
      const CellSegment& segment = segments_[s.cell_parts[p].segment];
      const CellLevel& cell = segment.cell();
      const std::uint32_t c = s.cell_blocks[at / kKeys] * kKeys + at % kKeys;
      if (c < cell.count()) segment.prefetch_rows(cell.begin[c], cell.begin[c + 1]);
    }
  }
  s.cells.clear();
  s.key_blocks.clear();
  s.key_parts.clear();
  for (const ProbeScratch::Part& open : s.cell_parts) {
    const CellSegment& segment = segments_[open.segment];
    const CellLevel& cell = segment.cell();
    ProbeScratch::Part part{open.segment, s.key_blocks.size(), s.key_blocks.size()};
    for (std::size_t b = open.first; b < open.last; ++b)
      for (unsigned bits = s.picked[b]; bits != 0; bits &= bits - 1) {
        const std::uint32_t c =
            s.cell_blocks[b] * kKeys + static_cast<std::uint32_t>(std::countr_zero(bits));
        if (c >= cell.count()) break;
        s.cells.push_back({static_cast<std::uint32_t>(open.segment), c});
        add_blocks(cell.begin[c], cell.begin[c + 1], part, s.key_blocks);
      }
    if (part.last > part.first) s.key_parts.push_back(part);
  }
}

// Of the cells of a part, once s.cell_spread and s.cell_log_size are known.
kernels::MassArgs SegmentList::masses(std::size_t p, std::size_t group, const ProbeOptions& o,
                                      ProbeScratch& s) const {
  const ProbeScratch::Part& part = s.cell_parts[p];
  const std::size_t at = part.first * kKeys;
  const bool rest = wants_rest(o);
  return {.promise = &s.promise[at],
          .stride = s.cell_blocks.size() * kKeys,
          .group = group,
          .n = (part.last - part.first) * kKeys,
          .gain = &s.spread[part.segment * group],
          .spread = &s.cell_spread[at],
          .log_size = &s.cell_log_size[at],
          .scale = o.share->scale,
          .reach = o.reach,
          .each = rest ? &s.each[at] : nullptr,
          .peaks = rest ? &s.peaks[p * group] : nullptr};
}

// s.floors = scores of keys that take o.share of a query, by what the open cells hold beside what
// is attended to anyway; s.cell_floors = promises of cells that are to be read.
void SegmentList::set_floors(std::size_t group, const ProbeOptions& o, ProbeScratch& s) const {
  const AttentionShare& share = *o.share;
  RA_CHECK(share.held.size() == group && share.least > 0 && share.scale > 0 && o.reach > 0);
  const std::size_t stride = s.cell_blocks.size() * kKeys;
  float *spread = fit(s.cell_spread, stride), *log_size = fit(s.cell_log_size, stride),
        *mass = fit(s.mass, group);
  if (wants_rest(o)) {
    fit(s.each, group * stride);
    fit(s.peaks, s.cell_parts.size() * group);
  }
  s.floors.assign(share.held.begin(), share.held.end());
  for (std::size_t p = 0; p < s.cell_parts.size(); ++p) {
    const ProbeScratch::Part& part = s.cell_parts[p];
    const CellSegment& segment = segments_[part.segment];
    const CellLevel& cell = segment.cell();
    const std::size_t at = part.first * kKeys, count = (part.last - part.first) * kKeys;
    std::fill_n(spread + at, count, 0.0f);
    std::fill_n(log_size + at, count, 0.0f);
    for (std::size_t b = part.first; b < part.last; ++b) {
      const std::size_t c = s.cell_blocks[b] * kKeys, cells = std::min(kKeys + c, cell.count()) - c;
      std::copy_n(cell.spread.data() + c, cells, spread + b * kKeys);
      std::copy_n(segment.log_sizes() + c, cells, log_size + b * kKeys);
    }
    kernels::ops().log_mass(masses(p, group, o, s), mass);
    for (std::size_t r = 0; r < group; ++r) s.floors[r] = log_add(s.floors[r], mass[r]);
  }
  s.cell_floors.resize(group);
  for (std::size_t r = 0; r < group; ++r) {
    s.floors[r] = (s.floors[r] + std::log(share.least)) / share.scale;
    s.cell_floors[r] = s.floors[r] + std::log(kCellShares) / share.scale;
  }
}

// s.cells = the cells that reach any query's floor; s.key_blocks = their rows.
void SegmentList::pick_by_share(std::size_t group, ProbeScratch& s) const {
  const std::size_t stride = s.cell_blocks.size() * kKeys;
  std::uint32_t* at = fit(s.rows, stride);
  const std::size_t count = kernels::ops().group_at_least({s.promise.data(), stride, group, stride},
                                                          s.cell_floors.data(), at);
  s.cells.clear();
  s.key_blocks.clear();
  s.key_parts.clear();
  std::size_t j = 0;
  for (const ProbeScratch::Part& open : s.cell_parts) {
    const CellSegment& segment = segments_[open.segment];
    const CellLevel& cell = segment.cell();
    ProbeScratch::Part part{open.segment, s.key_blocks.size(), s.key_blocks.size()};
    for (; j < count && at[j] < open.last * kKeys; ++j) {
      const std::uint32_t c = s.cell_blocks[at[j] / kKeys] * kKeys + at[j] % kKeys;
      if (c >= cell.count()) continue;
      segment.prefetch_rows(cell.begin[c], cell.begin[c + 1]);
      s.cells.push_back({static_cast<std::uint32_t>(open.segment), c});
      add_blocks(cell.begin[c], cell.begin[c + 1], part, s.key_blocks);
    }
    if (part.last > part.first) s.key_parts.push_back(part);
  }
}

// The queries' codes for the keys of each part.
void SegmentList::encode_for_keys(MatView<const float> queries, ProbeScratch& s) const {
  const std::size_t group = queries.rows, parts = s.key_parts.size();
  std::int8_t* codes = fit(s.key_codes, parts * group * key_rank());
  float* units = fit(s.key_units, parts * group);
  for (std::size_t p = 0; p < parts; ++p)
    encode(segments_[s.key_parts[p].segment].key_codes(), queries, codes + p * group * key_rank(),
           units + p * group);
}

// s.sample = scores of every s.step-th of the key blocks, and from them s.floors: about `keep` of
// all rows reach them.
void SegmentList::find_floors(std::size_t group, std::size_t keep, ProbeScratch& s,
                              SearchStats& stats) const {
  const std::size_t parts = s.key_parts.size();
  s.sampled.clear();
  s.ends.clear();
  for (const ProbeScratch::Part& part : s.key_parts) {
    for (std::size_t b = part.first; b < part.last; b += s.step)
      s.sampled.push_back(s.key_blocks[b]);
    s.ends.push_back(s.sampled.size());
  }
  const std::size_t all = s.sampled.size() * kKeys, rows = s.key_blocks.size() * kKeys,
                    rank = std::max<std::size_t>((keep * all + rows / 2) / rows, 1);
  const SampleFloor floor = s.step > 1 ? sample_floor(all, rank) : SampleFloor{0, rank};
  float* sample = fit(s.sample, group * all);
  s.best.assign(group * floor.parts, -kInfinity);
  for (std::size_t p = 0, first = 0; p < parts; first = s.ends[p++]) {
    const CellSegment& segment = segments_[s.key_parts[p].segment];
    const auto blocks = std::span(s.sampled).subspan(first, s.ends[p] - first);
    const kernels::ScoreRule rule{.base = &s.centres[s.key_parts[p].segment * group],
                                  .unit = &s.key_units[p * group],
                                  .rows = segment.keys(),
                                  .best = s.best.data(),
                                  .parts = floor.parts,
                                  .slot = first * kKeys};
    segment.key_codes().score(&s.key_codes[p * group * key_rank()], group, blocks,
                              sample + first * kKeys, all, &rule);
    count_blocks(segment.key_codes(), group, blocks.size(), blocks.back() + 1, stats);
  }
  s.floors.assign(group, -kInfinity);
  for (std::size_t r = 0; rank < all && r < group; ++r)
    s.floors[r] = floor_of(floor, r, s.best, {sample + r * all, all}, s.cut);
}

void SegmentList::keep_sampled(const RowFetch* fetch, ProbeScratch& s) const {
  const std::size_t all = s.sampled.size() * kKeys;
  std::uint32_t* rows = fit(s.rows, all);
  const std::size_t count = rows_at_floor(s.sample.data(), all, all, s.floors, rows);
  for (std::size_t j = 0, p = 0; j < count; ++j) {
    while (rows[j] >= s.ends[p] * kKeys) ++p;
    const CellSegment& segment = segments_[s.key_parts[p].segment];
    const std::uint32_t row = s.sampled[rows[j] / kKeys] * kKeys + rows[j] % kKeys;
    if (row < segment.keys()) keep_key(segment.key_of(row), fetch, s.found);
  }
}

// Of the blocks that are not sampled. A key of a cell that was not picked is as good.
void SegmentList::keep_keys(std::size_t group, const RowFetch* fetch, ProbeScratch& s,
                            SearchStats& stats) const {
  float* floors = fit(s.by_code, group);
  for (std::size_t p = 0; p < s.key_parts.size(); ++p) {
    const auto [i, first, last] = s.key_parts[p];
    const CellSegment& segment = segments_[i];
    s.blocks.clear();
    for (std::size_t b = first; b < last; ++b)
      if (s.step == 0 || (b - first) % s.step != 0) s.blocks.push_back(s.key_blocks[b]);
    if (s.blocks.empty()) continue;
    for (std::size_t r = 0; r < group; ++r)
      floors[r] = floor_by_code(s.floors[r], s.centres[i * group + r], s.key_units[p * group + r]);
    std::uint32_t* rows = fit(s.rows, s.blocks.size() * kKeys);
    const std::size_t count = segment.key_codes().at_least(&s.key_codes[p * group * key_rank()],
                                                           group, s.blocks, floors, rows);
    count_blocks(segment.key_codes(), group, s.blocks.size(), s.blocks.back() + 1, stats);
    for (std::size_t j = 0; j < count; ++j) keep_key(segment.key_of(rows[j]), fetch, s.found);
  }
}

}  // namespace ra::index
