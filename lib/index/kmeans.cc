// SPDX-License-Identifier: Apache-2.0
#include "lib/index/kmeans.h"

#include <algorithm>
#include <numeric>

#include "kernels/ops.h"
#include "lib/core/error.h"
#include "lib/core/matrix.h"
#include "lib/core/parallel.h"
#include "lib/core/rng.h"
#include "lib/index/scores.h"

namespace ra::index {
namespace {

constexpr std::size_t kTile = 256;  // rows scored against all centres at a time

struct TileScratch {
  AlignedBuffer<float> scores;
  AlignedBuffer<std::byte> gemm;
};

class Lloyd {
 public:
  Lloyd(MatView<const float> x, const KmeansOptions& o, BuildClock& clock)
      : x_(x),
        clock_(clock),
        search_(o.search),
        centres_(std::min(o.cells, x.rows), x.cols),
        bias_(centres_.rows()),
        square_(x.rows),
        score_(x.rows),
        cell_of_(x.rows) {
    const auto workers = static_cast<std::size_t>(threads());
    chunk_ = (x.rows + workers * kTile - 1) / (workers * kTile) * kTile;
    scratch_.resize((x.rows + chunk_ - 1) / chunk_);
    for (TileScratch& s : scratch_)
      s = {AlignedBuffer<float>(kTile * centres_.rows()),
           AlignedBuffer<std::byte>(kernels::gemm_scratch_bytes(x.cols))};
    for (std::size_t i = 0; i < x.rows; ++i) square_[i] = dot(x.row(i), x.row(i), x.cols);
    if (search_ == nullptr) pack();
    draw(o);
  }

  // Every row to its nearest centre.
  void assign() {
    for (std::size_t c = 0; c < centres_.rows(); ++c)
      bias_[c] = -0.5f * dot(centres_.row(c), centres_.row(c), x_.cols);
    if (search_ != nullptr)
      return search_->best_rows(x_, centres_.view(), bias_.data(), 1, cell_of_.data(),
                                score_.data());
    clock_.parallel(x_.rows, chunk_, [&](std::size_t first, std::size_t last) {
      for (std::size_t i = first; i < last; i += kTile)
        assign_tile(i, std::min(kTile, last - i), scratch_[first / chunk_]);
    });
  }

  // Centres to the means of their rows.
  void update() {
    std::vector<std::uint32_t> count(centres_.rows());
    std::fill_n(centres_.data(), centres_.rows() * centres_.cols(), 0.0f);
    for (std::size_t i = 0; i < x_.rows; ++i) {
      ++count[cell_of_[i]];
      float* sum = centres_.row(cell_of_[i]);
      for (std::size_t j = 0; j < x_.cols; ++j) sum[j] += x_.row(i)[j];
    }
    for (std::size_t c = 0; c < centres_.rows(); ++c)
      for (std::size_t j = 0; count[c] > 0 && j < x_.cols; ++j)
        centres_.row(c)[j] /= static_cast<float>(count[c]);
    revive(count);
  }

  Clustering finish() {
    std::vector<std::uint32_t> name(centres_.rows(), 0);
    for (const std::uint32_t c : cell_of_) name[c] = 1;
    Clustering out{std::move(cell_of_), 0};
    for (std::uint32_t& used : name)
      if (used == 1) used = static_cast<std::uint32_t>(out.cells++);
    for (std::uint32_t& c : out.cell_of) c = name[c];
    return out;
  }

 private:
  void pack() {
    const auto gemm_pack = kernels::ops().gemm_pack;
    if (gemm_pack == nullptr) return;
    packed_ = AlignedBuffer<std::byte>(kernels::gemm_packed_bytes(x_.rows, x_.cols));
    clock_.parallel(x_.rows, chunk_, [&](std::size_t first, std::size_t last) {
      gemm_pack(x_.row(first), x_.stride, last - first, x_.cols,
                packed_.data() + kernels::gemm_packed_bytes(first, x_.cols));
    });
  }

  void draw(const KmeansOptions& o) {
    std::vector<std::uint32_t> rows(x_.rows);
    std::iota(rows.begin(), rows.end(), 0u);
    Rng rng(o.seed, o.stream);
    for (std::size_t c = 0; c < centres_.rows(); ++c) {
      std::swap(rows[c], rows[c + rng.below(rows.size() - c)]);
      std::copy_n(x_.row(rows[c]), x_.cols, centres_.row(c));
    }
  }

  void assign_tile(std::size_t first, std::size_t rows, TileScratch& s) {
    const std::size_t cells = centres_.rows();
    score_tile(
        x_.row_range(first, rows),
        packed_.size() > 0 ? packed_.data() + kernels::gemm_packed_bytes(first, x_.cols) : nullptr,
        centres_.view(), bias_.data(), s.gemm.data(), s.scores.data(), cells);
    for (std::size_t i = 0; i < rows; ++i)
      kernels::ops().topk({.scores = s.scores.data() + i * cells,
                           .n = cells,
                           .k = 1,
                           .out_ids = &cell_of_[first + i],
                           .out_scores = &score_[first + i]});
  }

  // Centres without rows move to the rows that are farthest from theirs.
  void revive(const std::vector<std::uint32_t>& count) {
    std::vector<std::uint32_t> far;
    for (std::size_t c = 0; c < count.size(); ++c) {
      if (count[c] > 0) continue;
      if (far.empty()) {
        far.resize(x_.rows);
        std::iota(far.begin(), far.end(), 0u);
        std::stable_sort(far.begin(), far.end(), [&](std::uint32_t a, std::uint32_t b) {
          return distance2(a) < distance2(b);
        });
      }
      std::copy_n(x_.row(far.back()), x_.cols, centres_.row(c));
      far.pop_back();
    }
  }
  float distance2(std::uint32_t i) const { return square_[i] - 2 * score_[i]; }

  MatView<const float> x_;
  BuildClock& clock_;
  RowSearch* search_;
  Matrix<float> centres_;
  std::vector<float> bias_;  // of a centre: -|c|^2 / 2, so that the best score is the nearest
  std::vector<float> square_, score_;  // of a row: |x|^2; x.c - |c|^2 / 2 of its centre
  std::vector<std::uint32_t> cell_of_;
  AlignedBuffer<std::byte> packed_;
  std::size_t chunk_ = 0;             // rows of a worker
  std::vector<TileScratch> scratch_;  // of each worker
};

}  // namespace

Clustering kmeans(MatView<const float> x, const KmeansOptions& o, BuildClock& clock,
                  std::int64_t& distances) {
  RA_CHECK(x.rows > 0 && o.cells > 0 && o.iterations >= 0);
  Lloyd lloyd(x, o, clock);
  lloyd.assign();
  for (int i = 0; i < o.iterations; ++i) {
    lloyd.update();
    lloyd.assign();
  }
  distances += static_cast<std::int64_t>(x.rows * std::min(o.cells, x.rows)) * (o.iterations + 1);
  return lloyd.finish();
}

}  // namespace ra::index
