// SPDX-License-Identifier: Apache-2.0
#include "lib/index/flat.h"

#include <array>

#include "lib/index/build_clock.h"
#include "lib/index/coded_scan.h"
#include "lib/index/key_codes.h"
#include "lib/index/key_store.h"
#include "lib/index/top_k.h"

namespace ra::index {
namespace {

// Keys per block: 256 rows of 64..128 floats stay in the L2 cache while the group's rows use them.
constexpr std::size_t kBlock = 256;

constexpr std::array kParams{
    ParamInfo{"bits", "all|8|4", "all", 0, 0, false,
              "of a coordinate in the scan; fewer than all: the best are then scored exactly"},
    ParamInfo{
        "rerank", "int", "200", 1, 1e9, false,
        "with bits=8 or 4: keys of each query scored exactly; where a group attends to all that "
        "are found a quarter, at least k"},
};

struct FlatScratch final : SearchScratch {
  std::vector<TopK> best;
  std::vector<float> scores;
};

class FlatIndex final : public VectorIndex {
 public:
  explicit FlatIndex(MatView<const float> keys) {
    const BuildClock clock;
    keys_ = KeyRows(keys);
    stats_.key_bytes = static_cast<std::int64_t>(keys_.bytes());
    stats_.build_ms = clock.wall_ms();
    stats_.cpu_s = clock.cpu_s();
  }

  std::unique_ptr<SearchScratch> make_scratch() const override {
    return std::make_unique<FlatScratch>();
  }

  SearchStats search(MatView<const float> queries, const SearchParams& p, SearchScratch& scratch,
                     std::span<std::vector<Hit>> hits) const override {
    check_search(queries, keys_.cols(), p, hits);
    auto& s = static_cast<FlatScratch&>(scratch);
    const std::size_t n = keys_.rows(), group = queries.rows;
    s.best.resize(std::max(s.best.size(), group));
    s.scores.resize(std::max(s.scores.size(), group * kBlock));
    for (std::size_t r = 0; r < group; ++r) s.best[r].reset(static_cast<std::size_t>(p.k));
    for (std::size_t first = 0; first < n; first += kBlock) {
      const std::size_t count = std::min(kBlock, n - first);
      keys_.score_range(queries, first, count, s.scores.data(), kBlock);
      for (std::size_t r = 0; r < group; ++r)
        s.best[r].push_range(&s.scores[r * kBlock], count, static_cast<std::uint32_t>(first));
    }
    for (std::size_t r = 0; r < group; ++r) s.best[r].finish(hits[r]);
    return {.distances = static_cast<std::int64_t>(n * group),
            .coded = 0,
            .bytes = static_cast<std::int64_t>(keys_.bytes()),
            .hops = 0};
  }

  std::size_t memory_bytes() const override { return keys_.bytes(); }
  const BuildStats& build_stats() const override { return stats_; }

 private:
  KeyRows keys_;
  BuildStats stats_;
};

}  // namespace

std::span<const ParamInfo> flat_params() { return kParams; }

bool flat_for_group(const ParamReader& params) { return params.choice("bits") != "all"; }

std::size_t flat_bytes(const KeyShape& shape, const ParamReader& params) {
  const std::string bits = params.choice("bits");
  if (bits != "all")
    return KeyRows::bytes_of(shape) + KeyCodes::bytes_of(shape.keys, shape.dim, std::stoi(bits));
  KeyShape copied = shape;
  copied.stored = false;
  return KeyRows::bytes_of(copied);
}

std::unique_ptr<VectorIndex> build_flat(const BuildInput& in, const ParamReader& params) {
  const std::string bits = params.choice("bits");
  if (bits == "all") return std::make_unique<FlatIndex>(in.keys);
  return build_coded_scan(
      in, plain_space(in.keys),
      {.bits = std::stoi(bits), .rerank = static_cast<std::size_t>(params.integer("rerank"))});
}

std::unique_ptr<VectorIndex> restore_flat(const BuildInput& in, const ParamReader& params,
                                          const IndexState&) {
  return build_flat(in, params);  // it learns nothing
}

}  // namespace ra::index
