// SPDX-License-Identifier: Apache-2.0
#include "lib/index/pages.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <vector>

#include "kernels/ops.h"
#include "lib/core/error.h"
#include "lib/index/best_hits.h"
#include "lib/index/build_clock.h"
#include "lib/index/key_store.h"
#include "lib/index/page_bounds.h"

namespace ra::index {
namespace {

constexpr std::array kParams{
    ParamInfo{"page", "int", "16", 1, 65536, false, "consecutive keys of a page"},
    ParamInfo{"keys", "int", "1024", 1, 1e9, true, "of the pages read, and scored exactly"},
};

// Pages of a piece: bounds are made as a prefill goes on, many pages at a time.
constexpr std::size_t kPiecePages = 64;

struct PagesScratch final : SearchScratch {
  std::vector<float> queries, bounds, scores;
  std::vector<std::uint32_t> ids;
  CutScratch cut;
};

class PagesIndex final : public VectorIndex {
 public:
  PagesIndex(const BuildInput& in, const ParamReader& params)
      : page_(static_cast<std::size_t>(params.integer("page"))),
        wanted_(static_cast<std::size_t>(params.integers("keys").front())),
        keys_(in.keys, in.stored),
        begin_(1) {}

  std::unique_ptr<SearchScratch> make_scratch() const override {
    return std::make_unique<PagesScratch>();
  }
  SearchStats search(MatView<const float> queries, const SearchParams& p, SearchScratch& scratch,
                     std::span<std::vector<Hit>> hits) const override;
  std::size_t memory_bytes() const override {
    return keys_.bytes() + bounds_.size() * sizeof(bf16) + begin_.size() * sizeof(std::uint32_t);
  }
  const BuildStats& build_stats() const override { return stats_; }
  void append(const BuildInput& more) override {
    const BuildClock clock;
    keys_.append(more.keys);
    add(more.keys);
    count(clock);
  }
  void shrink(std::size_t n) override {
    while (pages() > 0 && begin_[pages() - 1] >= n) begin_.pop_back();
    RA_CHECK(begin_.back() == n);
    bounds_.resize(pages() * width());
    keys_.truncate(n);
  }
  void save(IndexState& state) const override { state.arrays["begin"] = begin_; }

  // Pages of the keys that follow those there are.
  void add(MatView<const float> keys) {
    for (std::size_t first = 0; first < keys.rows; first += page_)
      add_page(keys.row_range(first, std::min(page_, keys.rows - first)));
  }
  void add_page(MatView<const float> keys) {
    bounds_.resize(bounds_.size() + width());
    page_bounds(keys, std::span(bounds_).last(width()));
    begin_.push_back(begin_.back() + static_cast<std::uint32_t>(keys.rows));
  }
  void count(const BuildClock& clock) {
    stats_.key_bytes = static_cast<std::int64_t>(keys_.bytes());
    stats_.build_ms += clock.wall_ms();
    stats_.pack_ms += clock.wall_ms();
    stats_.cpu_s += clock.cpu_s();
  }

 private:
  std::size_t pages() const { return begin_.size() - 1; }
  std::size_t width() const { return 2 * keys_.cols(); }

  std::size_t page_, wanted_;
  KeyRows keys_;
  std::vector<std::uint32_t> begin_;  // [pages + 1] first key of each; the last of a piece is short
  std::vector<bf16> bounds_;          // [pages, 2 dim]
  BuildStats stats_;
};

SearchStats PagesIndex::search(MatView<const float> queries, const SearchParams& p,
                               SearchScratch& scratch, std::span<std::vector<Hit>> hits) const {
  check_search(queries, keys_.cols(), p, hits);
  auto& s = static_cast<PagesScratch&>(scratch);
  const std::size_t group = queries.rows, n = pages(), dim = keys_.cols();
  s.queries.resize(std::max(s.queries.size(), group * width()));
  s.bounds.resize(std::max(s.bounds.size(), group * n));
  for (std::size_t r = 0; r < group; ++r)
    bound_query({queries.row(r), dim}, std::span(s.queries).subspan(r * width(), width()));
  kernels::ops().score({.q = s.queries.data(),
                        .q_stride = width(),
                        .group = group,
                        .dim = width(),
                        .keys = bounds_.data(),
                        .type = kernels::KvType::kBf16,
                        .key_stride = width(),
                        .n = n,
                        .out = s.bounds.data(),
                        .out_stride = n});
  const std::size_t wanted = std::max(p.effort > 0 ? static_cast<std::size_t>(p.effort) : wanted_,
                                      static_cast<std::size_t>(p.k));
  const std::size_t opened = std::min(n, (wanted + page_ - 1) / page_);
  SearchStats stats;
  // A bound has twice the coordinates of a score.
  stats.distances = static_cast<std::int64_t>(2 * group * n);
  stats.bytes = static_cast<std::int64_t>(bounds_.size() * sizeof(bf16));
  stats.hops = static_cast<std::int64_t>(group * opened);
  for (std::size_t r = 0; r < group; ++r) {
    s.ids.clear();
    s.scores.resize(std::max(s.scores.size(), opened * page_));
    for (const std::uint32_t page : cut({&s.bounds[r * n], n}, opened, s.cut)) {
      const std::uint32_t first = begin_[page], count = begin_[page + 1] - first;
      keys_.score_range(queries.row_range(r, 1), first, count, &s.scores[s.ids.size()], count);
      for (std::uint32_t id = first; id < first + count; ++id) s.ids.push_back(id);
    }
    const auto pick = p.ranked ? best_hits : best_unranked;
    pick({s.scores.data(), s.ids.size()}, s.ids, static_cast<std::size_t>(p.k), s.cut, hits[r]);
    stats.distances += static_cast<std::int64_t>(s.ids.size());
    stats.bytes += static_cast<std::int64_t>(s.ids.size() * keys_.row_bytes());
  }
  return stats;
}

}  // namespace

std::span<const ParamInfo> pages_params() { return kParams; }

std::size_t pages_segment(const ParamReader& params, std::size_t) {
  return kPiecePages * static_cast<std::size_t>(params.integer("page"));
}

std::size_t pages_bytes(const KeyShape& shape, const ParamReader& params) {
  const auto page = static_cast<std::size_t>(params.integer("page"));
  const std::size_t pages = (shape.keys + page - 1) / page;
  return KeyRows::bytes_of(shape) + pages * (2 * shape.dim * sizeof(bf16) + sizeof(std::uint32_t)) +
         sizeof(std::uint32_t);
}

std::unique_ptr<VectorIndex> build_pages(const BuildInput& in, const ParamReader& params) {
  const BuildClock clock;
  auto index = std::make_unique<PagesIndex>(in, params);
  index->add(in.keys);
  index->count(clock);
  return index;
}

std::unique_ptr<VectorIndex> restore_pages(const BuildInput& in, const ParamReader& params,
                                           const IndexState& state) {
  const BuildClock clock;
  const auto& begin = state.ids("begin", in.keys.rows + 1);
  if (begin.empty() || begin.front() != 0 || begin.back() != in.keys.rows)
    refuse_state("begin", "pages of other keys");
  auto index = std::make_unique<PagesIndex>(in, params);
  for (std::size_t i = 0; i + 1 < begin.size(); ++i) {
    if (begin[i + 1] <= begin[i]) refuse_state("begin", fmt::format("page {} holds no key", i));
    index->add_page(in.keys.row_range(begin[i], begin[i + 1] - begin[i]));
  }
  index->count(clock);
  return index;
}

}  // namespace ra::index
