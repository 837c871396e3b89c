// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/score_keys.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/score.h"
#include "tests/kernels/cuda/host_keys.h"

namespace ra::cuda {
namespace {

using kernels::KvType;
using testing::HostKeys;
using testing::OnDevice;
using testing::random_floats;

constexpr float kUntouched = 12345;

class CudaScoreKeysTest : public testing::DeviceTest {
 protected:
  static std::vector<float> scores(const HostKeys& keys, const std::vector<float>& q,
                                   std::size_t group, KeyRange range, std::size_t stride) {
    const Stream stream;
    const OnDevice<float> dq(q),
        out(std::vector<float>(keys.view.kv_heads * group * stride, kUntouched));
    score_keys(stream.get(), {.q = dq.data(),
                              .group = group,
                              .kv = keys.view,
                              .keys = range,
                              .out = out.data(),
                              .out_stride = stride});
    return out.host(stream);
  }

  // Equal numbers up to rounding, and the same infinities and NaN.
  static void expect_matches(const HostKeys& keys, std::size_t group, KeyRange range) {
    const std::size_t d = keys.view.head_dim, stride = range.count + 1;
    SCOPED_TRACE(::testing::Message() << "d=" << d << " group=" << group << " n=" << range.count
                                      << " type=" << static_cast<int>(keys.view.type));
    const auto q = random_floats(keys.view.kv_heads * group * d, 21);
    const auto got = scores(keys, q, group, range, stride);
    std::vector<float> want(got.size(), kUntouched);
    for (std::size_t h = 0; h < keys.view.kv_heads; ++h)
      kernels::score<kernels::Level::kScalar>({.q = q.data() + h * group * d,
                                               .q_stride = d,
                                               .group = group,
                                               .dim = d,
                                               .keys = keys.rows(h).k,
                                               .key_stride = d,
                                               .first = range.first,
                                               .n = range.count,
                                               .out = want.data() + h * group * stride,
                                               .out_stride = stride});
    const float most = 4 * static_cast<float>(d);  // of the sum of magnitudes, about
    for (std::size_t i = 0; i < got.size(); ++i)
      if (std::isfinite(want[i]))
        ASSERT_NEAR(got[i], want[i], 1e-6f * most) << i;
      else
        ASSERT_TRUE(std::isnan(want[i]) ? std::isnan(got[i]) : got[i] == want[i]) << i;
  }
};
RA_INSTANTIATE_MACHINES(CudaScoreKeysTest);

TEST_P(CudaScoreKeysTest, MatchesScalarAtOddKeyCounts) {
  for (const std::size_t n : {0u, 1u, 31u, 32u, 33u, 257u, 600u})
    for (const KvType type : {KvType::kBf16, KvType::kF32})
      expect_matches(HostKeys(2, n + 9, 64, 64, type), 7, {5, n});
}

TEST_P(CudaScoreKeysTest, MatchesScalarAtEveryShape) {
  for (const std::size_t d : {2u, 18u, 64u, 80u, 96u, 128u, 200u, 256u})
    for (const std::size_t group : {1u, 3u, 7u, 8u, 9u})
      for (const KvType type : {KvType::kBf16, KvType::kF32})
        expect_matches(HostKeys(2, 50, d, 8, type), group, {3, 41});
}

TEST_P(CudaScoreKeysTest, NanAndInfinitiesStayWithTheirKeys) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  HostKeys keys(2, 60, 80, 80, KvType::kF32);
  keys.k[7 * 80 + 3] = std::numeric_limits<float>::quiet_NaN();
  keys.k[8 * 80 + 79] = kInf;
  keys.k[(60 + 33) * 80] = -kInf;
  keys.upload();
  expect_matches(keys, 3, {0, 60});
}

TEST_P(CudaScoreKeysTest, ReadsNoKeyOutsideTheRange) {
  HostKeys keys(1, 100, 64, 64, KvType::kF32);
  std::fill_n(keys.k.begin(), 30 * 64, std::nanf(""));
  std::fill(keys.k.begin() + 63 * 64, keys.k.end(), std::nanf(""));
  keys.upload();
  for (const float s : scores(keys, random_floats(3 * 64, 2), 3, {30, 33}, 33))
    ASSERT_TRUE(std::isfinite(s));
}

}  // namespace
}  // namespace ra::cuda
