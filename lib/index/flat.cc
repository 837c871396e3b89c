// SPDX-License-Identifier: Apache-2.0
#include "lib/index/flat.h"

#include "lib/core/error.h"
#include "lib/core/matrix.h"
#include "lib/index/build_clock.h"
#include "lib/index/key_store.h"
#include "lib/index/scores.h"
#include "lib/index/top_k.h"

namespace ra::index {
namespace {

// Keys per block: 256 rows of 64..128 floats stay in the L2 cache while the group's rows use them.
constexpr std::size_t kBlock = 256;

struct FlatScratch final : SearchScratch {
  std::vector<TopK> best;
  std::vector<float> scores;
};

class FlatIndex final : public VectorIndex {
 public:
  explicit FlatIndex(MatView<const float> keys) {
    BuildClock clock;
    keys_ = copy_rows(keys);
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
      score_block(queries, keys_.view(), first, count, s.scores.data(), kBlock);
      for (std::size_t r = 0; r < group; ++r)
        s.best[r].push_range(&s.scores[r * kBlock], count, static_cast<std::uint32_t>(first));
    }
    for (std::size_t r = 0; r < group; ++r) s.best[r].finish(hits[r]);
    return {.distances = static_cast<std::int64_t>(n * group),
            .bytes = static_cast<std::int64_t>(keys_.bytes()),
            .hops = 0};
  }

  std::size_t memory_bytes() const override { return keys_.bytes(); }
  const BuildStats& build_stats() const override { return stats_; }

 private:
  Matrix<float> keys_;
  BuildStats stats_;
};

}  // namespace

std::unique_ptr<VectorIndex> build_flat(const BuildInput& in, const ParamReader&) {
  return std::make_unique<FlatIndex>(in.keys);
}

}  // namespace ra::index
