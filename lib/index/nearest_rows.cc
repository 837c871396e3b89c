// SPDX-License-Identifier: Apache-2.0
#include "lib/index/nearest_rows.h"

#include <algorithm>
#include <limits>
#include <span>
#include <vector>

#include "kernels/ops.h"
#include "lib/core/error.h"
#include "lib/core/matrix.h"
#include "lib/index/scores.h"
#include "lib/index/top_k.h"

namespace ra::index {
namespace {

// A tile of scores (512 x 512 floats, 1 MiB) stays in the second-level cache between product and
// selection. With few columns, packing a chunk of rows costs as much as its product with a hundred
// others: hence the 512.
constexpr std::size_t kTile = 512, kChunk = 512;

// The m best of a stream of scores, ties to the smaller id. Candidates pile up to twice as many and
// are then cut: with m in the tens, and many rows at a time, a heap (top_k.h) takes four times as
// long.
class BestOfStream {
 public:
  void reset(std::size_t m) {
    m_ = m;
    floor_ = -std::numeric_limits<float>::infinity();
    kept_.clear();
  }
  void push_range(const float* scores, std::size_t n, std::uint32_t first_id) {
    std::uint32_t at[kStep];
    for (std::size_t j = 0; j < n; j += kStep) {
      const std::size_t entering =
          kernels::ops().at_least(scores + j, std::min(kStep, n - j), floor_, kStep, at);
      for (std::size_t i = 0; i < entering; ++i)
        kept_.push_back({first_id + static_cast<std::uint32_t>(j) + at[i], scores[j + at[i]]});
      if (kept_.size() >= 2 * m_) cut();
    }
  }
  // Best first.
  std::span<const Hit> finish() {
    if (kept_.size() > m_) cut();
    std::sort(kept_.begin(), kept_.end(), better);
    return kept_;
  }

 private:
  static constexpr std::size_t kStep = 128;

  void cut() {
    const auto last = kept_.begin() + static_cast<std::ptrdiff_t>(m_ - 1);
    std::nth_element(kept_.begin(), last, kept_.end(), better);
    floor_ = last->score;
    kept_.resize(m_);
  }

  std::size_t m_ = 1;
  float floor_ = 0;
  std::vector<Hit> kept_;
};

}  // namespace

LinkLists nearest_rows(MatView<const float> x, MatView<const float> among, std::size_t m,
                       BuildClock& clock, std::int64_t& distances) {
  RA_CHECK(m > 0 && x.cols == among.cols);
  const std::size_t n = among.rows;
  std::vector<float> bias(n);  // the best x_i.x_j - |x_j|^2 / 2 is the nearest
  for (std::size_t j = 0; j < n; ++j) bias[j] = -0.5f * dot(among.row(j), among.row(j), x.cols);
  LinkLists links(x.rows);
  clock.parallel(x.rows, kTile, [&](std::size_t first, std::size_t last) {
    const std::size_t rows = last - first, chunks = (n + kChunk - 1) / kChunk;
    const auto gemm_pack = kernels::ops().gemm_pack;
    AlignedBuffer<float> scores(kTile * kChunk);
    AlignedBuffer<std::byte> scratch(kernels::gemm_scratch_bytes(x.cols));
    AlignedBuffer<std::byte> packed(kernels::gemm_packed_bytes(kTile, x.cols));
    if (gemm_pack != nullptr) gemm_pack(x.row(first), x.stride, rows, x.cols, packed.data());
    std::vector<BestOfStream> best(rows);
    for (BestOfStream& b : best) b.reset(m);
    // Rows near in position are often near in space: begin there, and few of the rest enter.
    const std::size_t own = first * n / x.rows / kChunk;
    for (std::size_t c = 0; c < chunks; ++c) {
      const std::size_t begin = (own + c) % chunks * kChunk, count = std::min(kChunk, n - begin);
      score_tile(x.row_range(first, rows), gemm_pack != nullptr ? packed.data() : nullptr,
                 among.row_range(begin, count), &bias[begin], scratch.data(), scores.data());
      for (std::size_t r = 0; r < rows; ++r)
        best[r].push_range(scores.data() + r * count, count, static_cast<std::uint32_t>(begin));
    }
    for (std::size_t r = 0; r < rows; ++r)
      for (const Hit& hit : best[r].finish()) links[first + r].push_back(hit.id);
  });
  distances += static_cast<std::int64_t>(x.rows * n);
  return links;
}

}  // namespace ra::index
