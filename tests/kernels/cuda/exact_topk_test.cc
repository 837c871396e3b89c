// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/exact_topk.h"

#include <vector>

#include "kernels/topk.h"
#include "tests/support/cuda/machine.h"
#include "tests/support/random.h"

namespace ra::cuda {
namespace {

using testing::OnDevice;

class CudaExactTopkTest : public testing::DeviceTest {};
RA_INSTANTIATE_MACHINES(CudaExactTopkTest);

// Small integers: inner products are exact, and so are the ids; ties abound.
std::vector<float> small_integers(std::size_t n, std::uint64_t seed) {
  Rng rng(seed);
  std::vector<float> out(n);
  for (float& v : out) v = static_cast<float>(rng.below(7)) - 3;
  return out;
}

std::vector<float> scores_of(const std::vector<float>& queries, std::size_t query,
                             const std::vector<float>& keys, std::size_t dim) {
  std::vector<float> out(keys.size() / dim);
  for (std::size_t i = 0; i < out.size(); ++i)
    for (std::size_t j = 0; j < dim; ++j) out[i] += queries[query * dim + j] * keys[i * dim + j];
  return out;
}

TEST_P(CudaExactTopkTest, BestKeysOverSeveralTilesAreThoseOfOneScan) {
  const Stream stream;
  ScoreTiles tiles(stream);
  const std::size_t dim = 6;
  for (const auto& [queries, keys, k] :
       {std::tuple<std::size_t, std::size_t, std::size_t>{3, 50, 10},
        {2, ScoreTiles::kKeys + 30, 64},  // the second tile has fewer keys than k
        {2, 2 * ScoreTiles::kKeys + 500, 5},
        {3, 7, 10}}) {
    const auto q = small_integers(queries * dim, 1), x = small_integers(keys * dim, 2);
    const std::size_t kept = std::min(k, keys);
    const OnDevice<float> dq(q), dx(x), scores(std::vector<float>(queries * kept));
    const OnDevice<std::uint32_t> ids(std::vector<std::uint32_t>(queries * kept));
    std::vector<float> bias(keys);
    for (std::size_t i = 0; i < keys; ++i) bias[i] = static_cast<float>(i % 5);
    const OnDevice<float> db(bias);
    const bool biased = k == 64;
    tiles.best_keys({dq.data(), queries, dim}, {dx.data(), keys, dim}, biased ? db.data() : nullptr,
                    k, ids.data(), scores.data());
    const auto got_ids = ids.host(stream);
    const auto got = scores.host(stream);
    for (std::size_t i = 0; i < queries; ++i) {
      auto all = scores_of(q, i, x, dim);
      for (std::size_t j = 0; biased && j < keys; ++j) all[j] += bias[j];
      std::vector<std::uint32_t> want_ids(kept);
      std::vector<float> want(kept);
      kernels::topk<kernels::Level::kScalar>({.scores = all.data(),
                                              .n = keys,
                                              .k = k,
                                              .out_ids = want_ids.data(),
                                              .out_scores = want.data()});
      for (std::size_t j = 0; j < kept; ++j) {
        ASSERT_EQ(got_ids[i * kept + j], want_ids[j]) << "keys=" << keys << " j=" << j;
        ASSERT_EQ(got[i * kept + j], want[j]);
      }
    }
  }
}

TEST_P(CudaExactTopkTest, BestCentresAreTheNearest) {
  const Stream stream;
  ScoreTiles tiles(stream);
  const std::size_t rows = 70, cells = 9, dim = 5;
  const auto x = small_integers(rows * dim, 3), centres = small_integers(cells * dim, 4);
  std::vector<float> bias(cells);
  for (std::size_t c = 0; c < cells; ++c)
    for (std::size_t j = 0; j < dim; ++j)
      bias[c] -= centres[c * dim + j] * centres[c * dim + j] / 2;
  const OnDevice<float> dx(x), dc(centres), db(bias), scores{std::vector<float>(rows)};
  const OnDevice<std::uint32_t> ids{std::vector<std::uint32_t>(rows)};
  tiles.best_centres({dx.data(), rows, dim}, {dc.data(), cells, dim}, db.data(), ids.data(),
                     scores.data());
  const auto got = ids.host(stream);
  for (std::size_t i = 0; i < rows; ++i) {
    std::size_t nearest = 0;
    float least = 1e9f;
    for (std::size_t c = 0; c < cells; ++c) {
      float distance = 0;
      for (std::size_t j = 0; j < dim; ++j)
        distance +=
            (x[i * dim + j] - centres[c * dim + j]) * (x[i * dim + j] - centres[c * dim + j]);
      if (distance < least) least = distance, nearest = c;
    }
    EXPECT_EQ(got[i], nearest) << i;
  }
}

}  // namespace
}  // namespace ra::cuda
