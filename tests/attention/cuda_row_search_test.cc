// SPDX-License-Identifier: Apache-2.0
#include "lib/attention/cuda_row_search.h"

#include <vector>

#include "tests/support/cuda/machine.h"
#include "tests/support/plain_row_search.h"
#include "tests/support/random.h"

namespace ra::attention {
namespace {

class CudaRowSearchTest : public testing::DeviceTest {};
RA_INSTANTIATE_MACHINES(CudaRowSearchTest);

// Small integers: inner products are exact, ties abound.
Matrix<float> small_integers(std::size_t rows, std::size_t cols, std::uint64_t seed) {
  Matrix<float> m(rows, cols);
  Rng rng(seed);
  for (std::size_t i = 0; i < rows * cols; ++i) m.data()[i] = static_cast<float>(rng.below(7)) - 3;
  return m;
}

TEST_P(CudaRowSearchTest, FindsWhatThePlainSearchFinds) {
  CudaRowSearch device(0);
  testing::PlainRowSearch plain;
  const Matrix<float> all = small_integers(400, 6, 1);
  const auto bias = small_integers(1, 400, 2);
  const MatView<const float> every{all.data(), 80, 6, 30};  // each fifth row
  for (const auto& [queries, rows, biased, m] :
       {std::tuple<std::size_t, MatView<const float>, bool, std::size_t>{5, all.view(), false, 20},
        {3, all.view(), true, 20},
        {9, every, true, 7},
        {2, every, false, 100},  // more than there are
        {CudaRowSearch::kQueries + 3, every, true, 1}}) {
    const Matrix<float> q = small_integers(queries, 6, 3);
    const std::size_t n = queries * std::min(m, rows.rows);
    std::vector<std::uint32_t> ids(n), want_ids(n);
    std::vector<float> scores(n), want(n);
    const float* add = biased ? bias.data() : nullptr;
    device.best_rows(q.view(), rows, add, m, ids.data(), scores.data());
    plain.best_rows(q.view(), rows, add, m, want_ids.data(), want.data());
    EXPECT_EQ(ids, want_ids) << queries << " queries, " << m;
    EXPECT_EQ(scores, want) << queries << " queries, " << m;
  }
}

}  // namespace
}  // namespace ra::attention
