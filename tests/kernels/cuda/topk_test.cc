// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/topk.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/topk.h"
#include "tests/support/cuda/machine.h"
#include "tests/support/random.h"

namespace ra::cuda {
namespace {

using testing::OnDevice;
using testing::random_floats;

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

class CudaTopkTest : public testing::DeviceTest {
 protected:
  // Every row against the scalar kernel.
  static void expect_matches(const std::vector<float>& scores,
                             const std::vector<std::uint32_t>& ids, std::size_t rows, std::size_t n,
                             std::size_t k) {
    const Stream stream;
    const std::size_t stride = scores.size() / rows, kept = std::min(k, n);
    const OnDevice<float> ds(scores, 1), out_scores(std::vector<float>(rows * (kept + 1), 9.0f));
    const OnDevice<std::uint32_t> did(ids.empty() ? std::vector<std::uint32_t>(1) : ids),
        out_ids(std::vector<std::uint32_t>(rows * (kept + 1), 9u));
    topk(stream.get(), {.scores = ds.data(),
                        .score_stride = stride,
                        .ids = ids.empty() ? nullptr : did.data(),
                        .first_id = 100,
                        .rows = rows,
                        .n = n,
                        .k = k,
                        .out_ids = out_ids.data(),
                        .out_scores = out_scores.data(),
                        .out_stride = kept + 1});
    const auto got_ids = out_ids.host(stream);
    const auto got_scores = out_scores.host(stream);
    for (std::size_t r = 0; r < rows; ++r) {
      std::vector<std::uint32_t> want_ids(kept);
      std::vector<float> want(kept);
      kernels::topk<kernels::Level::kScalar>(
          {.scores = scores.data() + r * stride,
           .ids = ids.empty() ? nullptr : ids.data() + r * stride,
           .n = n,
           .k = k,
           .out_ids = want_ids.data(),
           .out_scores = want.data()});
      for (std::size_t i = 0; i < kept; ++i) {
        ASSERT_EQ(got_ids[r * (kept + 1) + i], want_ids[i] + (ids.empty() ? 100 : 0))
            << "n=" << n << " k=" << k << " i=" << i;
        ASSERT_EQ(got_scores[r * (kept + 1) + i], want[i]);
      }
      ASSERT_EQ(got_ids[r * (kept + 1) + kept], 9u) << "wrote past k";
    }
  }
};
RA_INSTANTIATE_MACHINES(CudaTopkTest);

TEST_P(CudaTopkTest, MatchesScalarAtOddSizes) {
  for (const std::size_t n : {1u, 2u, 33u, 255u, 700u, 3000u})
    for (const std::size_t k : {1u, 3u, 100u, 256u, 2048u})
      expect_matches(random_floats(2 * (n + 3), n + k), {}, 2, n, k);
}

TEST_P(CudaTopkTest, TiesGoToTheSmallerId) {
  std::vector<float> scores(900, 1.0f);
  for (std::size_t i = 0; i < scores.size(); i += 7) scores[i] = 2.0f;
  for (std::size_t i = 3; i < scores.size(); i += 11) scores[i] = -0.0f;
  for (std::size_t i = 4; i < scores.size(); i += 11) scores[i] = 0.0f;
  std::vector<std::uint32_t> ids(900);
  for (std::size_t i = 0; i < ids.size(); ++i)
    ids[i] = static_cast<std::uint32_t>((i * 7919) % 65537);
  for (const std::size_t k : {1u, 100u, 129u, 500u, 899u}) {
    expect_matches(scores, {}, 1, 900, k);
    expect_matches(scores, ids, 1, 900, k);
  }
}

TEST_P(CudaTopkTest, NanAndInfinitiesHaveTheirPlace) {
  auto scores = random_floats(100, 1);
  scores[5] = kNan, scores[6] = kInf, scores[7] = -kInf, scores[8] = -kNan, scores[9] = kInf;
  for (const std::size_t k : {1u, 3u, 97u, 99u, 100u}) expect_matches(scores, {}, 1, 100, k);
}

// The best of the pieces' best are those of the row, and a short last piece is filled up.
TEST_P(CudaTopkTest, PiecesTogetherHaveTheBestOfTheRow) {
  const Stream stream;
  const std::size_t rows = 3, k = 40;
  for (const std::size_t n : {200u, 223u, 400u, 401u}) {
    auto scores = random_floats(rows * n, n);
    scores[5] = kNan, scores[n + 7] = kInf, scores[n - 1] = kInf;
    std::fill_n(scores.begin() + static_cast<std::ptrdiff_t>(2 * n), n - 10, -kInf);
    const std::size_t piece = 100, pieces = (n + piece - 1) / piece, width = pieces * k;
    const OnDevice<float> ds(scores), best(std::vector<float>(rows * (width + k)));
    const OnDevice<std::uint32_t> ids(std::vector<std::uint32_t>(rows * (width + k)));
    topk(stream.get(), {.scores = ds.data(),
                        .score_stride = n,
                        .rows = rows,
                        .n = n,
                        .k = k,
                        .piece = piece,
                        .out_ids = ids.data(),
                        .out_scores = best.data(),
                        .out_stride = width});
    topk(stream.get(), {.scores = best.data(),
                        .score_stride = width,
                        .ids = ids.data(),
                        .rows = rows,
                        .n = width,
                        .k = k,
                        .out_ids = ids.data() + rows * width,
                        .out_scores = best.data() + rows * width,
                        .out_stride = k});
    const auto got = ids.host(stream);
    const auto got_scores = best.host(stream);
    for (std::size_t p = n % piece; p > 0 && p < k; ++p) {
      EXPECT_EQ(got[width - k + p], 0xffffffffu);
      EXPECT_TRUE(std::isnan(got_scores[width - k + p]));
    }
    for (std::size_t r = 0; r < rows; ++r) {
      std::vector<std::uint32_t> want(k);
      std::vector<float> want_scores(k);
      kernels::topk<kernels::Level::kScalar>({.scores = scores.data() + r * n,
                                              .n = n,
                                              .k = k,
                                              .out_ids = want.data(),
                                              .out_scores = want_scores.data()});
      for (std::size_t i = 0; i < k; ++i) {
        ASSERT_EQ(got[rows * width + r * k + i], want[i]) << "n=" << n << " row " << r;
        ASSERT_EQ(got_scores[rows * width + r * k + i], want_scores[i]);
      }
    }
  }
}

TEST_P(CudaTopkTest, BestColumnIsTopOneOfTheBiasedRow) {
  const Stream stream;
  for (const std::size_t n : {1u, 5u, 32u, 100u}) {
    const std::size_t rows = 6, stride = n + 2;
    auto scores = random_floats(rows * stride, n);
    if (n > 32) scores[40] = scores[3] = 50, scores[stride] = kNan;
    const auto bias = random_floats(n, n + 1, 0.25f);
    for (const bool biased : {false, true}) {
      const OnDevice<float> ds(scores), db(bias), best(std::vector<float>(rows, 9));
      const OnDevice<std::uint32_t> ids(std::vector<std::uint32_t>(rows, 9));
      best_column(stream.get(), {ds.data(), stride, biased ? db.data() : nullptr, rows, n,
                                 ids.data(), best.data()});
      const auto got = ids.host(stream);
      for (std::size_t r = 0; r < rows; ++r) {
        std::vector<float> row(n);
        for (std::size_t c = 0; c < n; ++c)
          row[c] = scores[r * stride + c] + (biased ? bias[c] : 0);
        std::uint32_t id = 0;
        float score = 0;
        kernels::topk<kernels::Level::kScalar>(
            {.scores = row.data(), .n = n, .k = 1, .out_ids = &id, .out_scores = &score});
        EXPECT_EQ(got[r], id) << n << ' ' << r;
        EXPECT_EQ(best.host(stream)[r], score);
      }
    }
  }
}

}  // namespace
}  // namespace ra::cuda
