// SPDX-License-Identifier: Apache-2.0
// Segments of cells one after the other, and what of them the queries of a group read together:
// the cells that look best to any of them, and of the keys of these those that score best by their
// codes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/codes.h"
#include "kernels/mass.h"
#include "lib/index/best_hits.h"
#include "lib/index/cell_segment.h"
#include "lib/index/cell_shape.h"
#include "lib/index/vector_index.h"

namespace ra::index {

struct ProbeOptions {
  std::size_t probes = 1;  // cells that each query picks
  float open = 1;          // cell centres scored for each of them, at least
  float reach = 0;         // standard deviations of a cell's scores added to that of its centre
  std::size_t keep = 1;    // with codes: about as many keys of all picked cells a query keeps
  const RowFetch* fetch = nullptr;  // asked for the keys found by codes
  // With codes: keys are kept, and cells picked, by what they are worth, not by number. Then
  // `probes` says only how many cells are scored, `reach` has to be above 0.
  const AttentionShare* share = nullptr;
};

// Queries that probe together.
inline constexpr std::size_t kMostProbing = kernels::kMostFilterQueries;

// Buffers of one thread.
struct ProbeScratch {
  // Consecutive blocks of codes of one segment.
  struct Part {
    std::size_t segment = 0, first = 0, last = 0;  // places in `blocks`
  };
  struct Cell {
    std::uint32_t segment = 0, cell = 0;
  };
  std::vector<std::int8_t> mean_codes, key_codes;             // queries: [segment, group, rank]
  std::vector<float> mean_units, key_units, centres, spread;  // [segment, group]
  std::vector<float> top_scores, tops;  // of a segment; promise of all [group, tops]
  std::vector<std::uint8_t> open;       // [tops]
  std::vector<std::uint32_t> blocks;    // to be scored now
  std::vector<Part> cell_parts, key_parts;
  std::vector<std::uint32_t> cell_blocks, key_blocks;
  std::vector<float> promise;         // of the cells in the open blocks [group, 16 blocks]
  std::vector<std::uint16_t> picked;  // of cells in the open blocks: a bit each
  std::vector<float> cell_spread, cell_log_size;  // of those cells
  std::vector<float> mass, cell_floors;           // [group] of the cells; promise of one to be read
  std::vector<Cell> cells;                        // picked by any query, ascending
  std::size_t step = 1;                           // one key block in so many is sampled; 0: none is
  std::vector<std::uint32_t> sampled;             // of key blocks, those of each part
  std::vector<std::size_t> ends;                  // [part] of its sampled blocks
  std::vector<float> sample, best;     // [group, rows]: their scores; [group, parts]: the best
  std::vector<float> floors, by_code;  // [group] least scores; the same by code, of a segment
  std::vector<std::uint32_t> rows;     // that reach them
  std::vector<std::uint32_t> found;    // keys to be scored exactly
  // With AttentionShare::rest, as kernels::MassArgs: of the cells [group, 16 blocks], [part,
  // group].
  std::vector<float> each, peaks, top_peaks;
  std::vector<std::uint32_t> first_cells, last_cells;  // [tops of a segment] places in `each`
  std::vector<float> weights, logit_floors;            // [group, tops] of what is not read; [group]
  Rest rest;
  CutScratch cut;
};

// Room for n elements in a buffer that only grows.
template <class T>
T* fit(std::vector<T>& v, std::size_t n) {
  if (v.size() < n) v.resize(n);
  return v.data();
}

class SegmentList {
 public:
  // The next keys [n, dim] in their cells; values and key_bits as of CellSegment; metric:
  // A [dim, dim] of QueryMetric.
  void add(MatView<const float> keys, MatView<const float> values, const Cells& cells,
           MatView<const float> metric, int key_bits);
  // Forgets the segments that begin at key n or later; one must end there.
  void shrink(std::size_t n);

  std::span<const CellSegment> segments() const { return segments_; }
  std::size_t keys() const;  // of all segments
  std::size_t cells() const { return cells_.back(); }
  std::size_t bytes() const;

  // s.found = ids of the keys that queries [group, dim], at most kMostProbing, should score
  // exactly, each once. s.rest, where o.share asks for it.
  void probe(MatView<const float> queries, const ProbeOptions& o, ProbeScratch& s,
             SearchStats& stats) const;

 private:
  std::size_t mean_rank() const { return segments_.front().mean_codes().rank(); }
  std::size_t key_rank() const { return segments_.front().key_codes().rank(); }
  void open_tops(MatView<const float> queries, const ProbeOptions& o, ProbeScratch& s,
                 SearchStats& stats) const;
  void gather_cells(ProbeScratch& s) const;
  void score_cells(std::size_t group, ProbeScratch& s, SearchStats& stats) const;
  void pick_cells(std::size_t group, const ProbeOptions& o, ProbeScratch& s) const;
  void spread_by_share(MatView<const float> queries, const ProbeOptions& o, ProbeScratch& s) const;
  void set_floors(std::size_t group, const ProbeOptions& o, ProbeScratch& s) const;
  kernels::MassArgs masses(std::size_t part, std::size_t group, const ProbeOptions& o,
                           ProbeScratch& s) const;
  bool wants_rest(const ProbeOptions& o) const { return o.share->rest && value_dim_ > 0; }
  void estimate_rest(std::size_t group, const ProbeOptions& o, ProbeScratch& s,
                     SearchStats& stats) const;
  void weigh_tops(std::size_t group, const ProbeOptions& o, ProbeScratch& s) const;
  void weigh_open_tops(std::size_t group, const ProbeOptions& o, ProbeScratch& s) const;
  void pick_by_share(std::size_t group, ProbeScratch& s) const;
  void encode_for_keys(MatView<const float> queries, ProbeScratch& s) const;
  void find_floors(std::size_t group, std::size_t keep, ProbeScratch& s, SearchStats& stats) const;
  void keep_sampled(const RowFetch* fetch, ProbeScratch& s) const;
  void keep_keys(std::size_t group, const RowFetch* fetch, ProbeScratch& s,
                 SearchStats& stats) const;

  std::vector<CellSegment> segments_;
  // With codes, of each segment; used is the last, whose queries are most like those to come.
  std::vector<CellShape> shapes_;
  std::size_t value_dim_ = 0;                    // 0: no values
  std::vector<std::size_t> tops_{0}, cells_{0};  // [segments + 1] of the segments before
};

}  // namespace ra::index
