// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/attend.h"

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/attend.h"
#include "tests/kernels/cuda/host_keys.h"
#include "tests/support/cuda/machine.h"
#include "tests/support/random.h"

namespace ra::cuda {
namespace {

using kernels::KvType;
using testing::HostKeys;
using testing::OnDevice;
using testing::random_floats;

struct HostPartials {
  std::vector<float> max, sum, acc;
};

class CudaAttendTest : public testing::DeviceTest {
 protected:
  // Of each query head over both ranges: merged on the device from `splits` parts.
  static HostPartials decode(const HostKeys& keys, const std::vector<float>& q, std::size_t group,
                             const KeyRange (&ranges)[2], float scale, std::size_t splits,
                             std::vector<float>* finished) {
    const Stream stream;
    const std::size_t heads = keys.view.kv_heads * group, dv = keys.view.value_dim;
    const std::size_t total = ranges[0].count + ranges[1].count;
    const auto floats = [](std::size_t n) { return OnDevice<float>(std::vector<float>(n, 3.0f)); };
    const OnDevice<float> dq(q);
    const auto max = floats(heads * splits), sum = floats(heads * splits),
               acc = floats(heads * splits * dv), out_max = floats(heads), out_sum = floats(heads),
               out_acc = floats(heads * dv), out = floats(heads * dv);
    const DevicePartials parts{max.data(), sum.data(), acc.data()};
    attend_decode(stream.get(), {.q = dq.data(),
                                 .group = group,
                                 .kv = keys.view,
                                 .keys = {ranges[0], ranges[1]},
                                 .scale = scale,
                                 .splits = splits,
                                 .split_keys = (total + splits - 1) / splits,
                                 .out = parts,
                                 .part_stride = splits});
    MergeArgs merge{.parts = parts,
                    .heads = heads,
                    .splits = splits,
                    .value_dim = dv,
                    .out = {out_max.data(), out_sum.data(), out_acc.data()}};
    merge_partials(stream.get(), merge);
    merge.finished = out.data();
    merge_partials(stream.get(), merge);
    if (finished != nullptr) *finished = out.host(stream);
    return {out_max.host(stream), out_sum.host(stream), out_acc.host(stream)};
  }

  static HostPartials scalar(const HostKeys& keys, const std::vector<float>& q, std::size_t group,
                             const KeyRange (&ranges)[2], float scale) {
    const std::size_t heads = keys.view.kv_heads * group, d = keys.view.head_dim,
                      dv = keys.view.value_dim;
    HostPartials out{std::vector<float>(heads), std::vector<float>(heads),
                     std::vector<float>(heads * dv)};
    for (std::size_t h = 0; h < heads; ++h) {
      kernels::Partial p{.acc = out.acc.data() + h * dv};
      for (const KeyRange& range : ranges)
        kernels::attend_partial<kernels::Level::kScalar>({.q = q.data() + h * d,
                                                          .q_stride = d,
                                                          .group = 1,
                                                          .kv = keys.rows(h / group),
                                                          .first = range.first,
                                                          .n = range.count,
                                                          .scale = scale,
                                                          .out = &p});
      out.max[h] = p.max, out.sum[h] = p.sum;
    }
    return out;
  }

  static void expect_decode(std::size_t kv_heads, std::size_t group, std::size_t d, std::size_t dv,
                            KvType type, const KeyRange (&ranges)[2], std::size_t splits) {
    SCOPED_TRACE(::testing::Message()
                 << "group=" << group << " d=" << d << " dv=" << dv << " keys=" << ranges[0].count
                 << '+' << ranges[1].count << " splits=" << splits
                 << " type=" << static_cast<int>(type));
    const HostKeys keys(kv_heads, ranges[1].first + ranges[1].count + 3, d, dv, type);
    const auto q = random_floats(kv_heads * group * d, 13);
    const float scale = 1 / std::sqrt(static_cast<float>(d));
    std::vector<float> finished;
    const HostPartials got = decode(keys, q, group, ranges, scale, splits, &finished),
                       want = scalar(keys, q, group, ranges, scale);
    for (std::size_t h = 0; h < kv_heads * group; ++h) {
      ASSERT_NEAR(got.max[h], want.max[h], 3e-6f * std::max(1.0f, std::fabs(want.max[h])));
      ASSERT_NEAR(got.sum[h], want.sum[h], 1e-5f * want.sum[h]);
      for (std::size_t j = 0; j < dv; ++j) {
        ASSERT_NEAR(got.acc[h * dv + j] / got.sum[h], want.acc[h * dv + j] / want.sum[h], 5e-6);
        ASSERT_NEAR(finished[h * dv + j], want.acc[h * dv + j] / want.sum[h], 5e-6);
      }
    }
  }

  static std::vector<float> causal(const HostKeys& keys, const std::vector<float>& q,
                                   std::size_t group, std::size_t tokens, std::size_t pos0,
                                   std::size_t window, float scale) {
    const Stream stream;
    const std::size_t heads = keys.view.kv_heads * group;
    const OnDevice<float> dq(q),
        out(std::vector<float>(tokens * (heads * keys.view.value_dim + 1)));
    attend_causal(stream.get(), {.q = dq.data(),
                                 .q_stride = heads * keys.view.head_dim,
                                 .tokens = tokens,
                                 .group = group,
                                 .pos0 = pos0,
                                 .window = window,
                                 .kv = keys.view,
                                 .scale = scale,
                                 .out = out.data(),
                                 .out_stride = heads * keys.view.value_dim + 1});
    return out.host(stream);
  }

  static void expect_causal(std::size_t kv_heads, std::size_t group, std::size_t d, std::size_t dv,
                            std::size_t tokens, std::size_t pos0, std::size_t window, KvType type) {
    SCOPED_TRACE(::testing::Message()
                 << "group=" << group << " d=" << d << " dv=" << dv << " tokens=" << tokens
                 << " pos0=" << pos0 << " window=" << window << " type=" << static_cast<int>(type));
    const HostKeys keys(kv_heads, pos0 + tokens + 2, d, dv, type);
    const std::size_t heads = kv_heads * group;
    const auto q = random_floats(tokens * heads * d, 14);
    const float scale = 1 / std::sqrt(static_cast<float>(d));
    const auto got = causal(keys, q, group, tokens, pos0, window, scale);
    std::vector<float> want(tokens * heads * dv), scratch(dv);
    for (std::size_t h = 0; h < kv_heads; ++h)
      kernels::attend_causal<kernels::Level::kScalar>(
          {.q = q.data() + h * group * d,
           .q_stride = heads * d,
           .tokens = tokens,
           .group = group,
           .pos0 = pos0,
           .window = window,
           .kv = keys.rows(h),
           .scale = scale,
           .out = want.data() + h * group * dv,
           .out_stride = heads * dv,
           .scratch = reinterpret_cast<std::byte*>(scratch.data())});
    for (std::size_t t = 0; t < tokens; ++t)
      for (std::size_t i = 0; i < heads * dv; ++i)
        ASSERT_NEAR(got[t * (heads * dv + 1) + i], want[t * heads * dv + i], 5e-6) << t << ' ' << i;
  }
};
RA_INSTANTIATE_MACHINES(CudaAttendTest);

TEST_P(CudaAttendTest, DecodeMatchesScalarAtOddKeyCounts) {
  for (const std::size_t n : {1u, 2u, 15u, 16u, 17u, 33u, 131u})
    for (const std::size_t splits : {1u, 2u, 5u})
      if (splits <= n) expect_decode(2, 7, 64, 64, KvType::kBf16, {{3, n}, {n + 8, 0}}, splits);
}

TEST_P(CudaAttendTest, DecodeMatchesScalarAtEveryShape) {
  for (const std::size_t d : {2u, 18u, 64u, 80u, 128u, 200u, 256u})
    for (const std::size_t group : {1u, 3u, 8u, 9u})
      expect_decode(1, group, d, d == 80 ? 48 : d, group == 3 ? KvType::kF32 : KvType::kBf16,
                    {{0, 21}, {40, 17}}, 3);
}

TEST_P(CudaAttendTest, TwoRangesAreTheStaticSet) {
  for (const std::size_t splits : {1u, 4u})
    for (const std::size_t sink : {0u, 5u, 32u})
      expect_decode(2, 4, 64, 64, KvType::kBf16, {{0, sink}, {50, 29}}, splits);
}

TEST_P(CudaAttendTest, AnEmptyPartIsNeutral) {
  // Three splits of two keys: the last one has none.
  const HostKeys keys(1, 4, 64, 64, KvType::kF32);
  const auto q = random_floats(64, 1);
  const KeyRange ranges[2] = {{0, 2}, {0, 0}};
  const HostPartials one = decode(keys, q, 1, ranges, 0.1f, 1, nullptr),
                     three = decode(keys, q, 1, ranges, 0.1f, 3, nullptr);
  EXPECT_NEAR(one.sum[0], three.sum[0], 1e-6);
  EXPECT_EQ(one.max, three.max);
  const KeyRange none[2] = {};
  const HostPartials empty = decode(keys, q, 1, none, 0.1f, 1, nullptr);
  EXPECT_EQ(empty.max[0], -std::numeric_limits<float>::infinity());
  EXPECT_EQ(empty.sum[0], 0);
  EXPECT_EQ(empty.acc, std::vector<float>(64, 0.0f));
}

TEST_P(CudaAttendTest, ADominantKeyTakesAllTheWeightAndNanStaysVisible) {
  HostKeys keys(1, 100, 64, 64, KvType::kF32);
  std::fill(keys.k.begin(), keys.k.end(), -100.0f);
  std::fill_n(keys.k.begin() + 77 * 64, 64, 100.0f);
  keys.upload();
  const std::vector<float> q(64, 1.0f);
  const KeyRange ranges[2] = {{0, 100}, {}};
  const HostPartials got = decode(keys, q, 1, ranges, 1, 3, nullptr);
  EXPECT_EQ(got.max[0], 6400);
  EXPECT_EQ(got.sum[0], 1);
  for (std::size_t j = 0; j < 64; ++j) EXPECT_EQ(got.acc[j], keys.v[77 * 64 + j]);
  keys.k[50 * 64] = std::numeric_limits<float>::quiet_NaN();
  keys.upload();
  EXPECT_TRUE(std::isnan(decode(keys, q, 1, ranges, 1, 3, nullptr).acc[0]));
}

// What found keys are: of each query head its own, in any order, beside the static set.
TEST_P(CudaAttendTest, OwnKeysJoinThoseOfRangesAsPartsOfTheSameHead) {
  for (const std::size_t d : {64u, 80u, 256u})
    for (const std::size_t group : {1u, 3u, 9u})
      for (const std::size_t n : {1u, 31u, 70u}) {
        const Stream stream;
        const std::size_t heads = 2 * group, own_splits = n > 1 ? 2 : 1, splits = 1 + own_splits,
                          stride = n + 2;
        const HostKeys keys(2, 300, d, d, group == 3 ? KvType::kF32 : KvType::kBf16);
        const auto q = random_floats(heads * d, 13);
        std::vector<std::uint32_t> ids(heads * stride, 999'999);
        for (std::size_t h = 0; h < heads; ++h)
          for (std::size_t i = 0; i < n; ++i)  // 37 and 256 have no common factor
            ids[h * stride + i] = static_cast<std::uint32_t>((37 * i + 11 * h) % 256);
        const OnDevice<float> dq(q), out(std::vector<float>(heads * d)),
            max(std::vector<float>(heads * splits)), sum(std::vector<float>(heads * splits)),
            acc(std::vector<float>(heads * splits * d));
        const OnDevice<std::uint32_t> dids(ids);
        const float scale = 1 / std::sqrt(static_cast<float>(d));
        AttendDecodeArgs a{.q = dq.data(),
                           .group = group,
                           .kv = keys.view,
                           .keys = {{0, 10}, {290, 5}},
                           .scale = scale,
                           .split_keys = 15,
                           .out = {max.data(), sum.data(), acc.data()},
                           .part_stride = splits};
        attend_decode(stream.get(), a);
        a.keys[0] = {20, n};
        a.keys[1] = {};
        a.ids = dids.data();
        a.id_stride = stride;
        a.splits = own_splits;
        a.split_keys = (n + own_splits - 1) / own_splits;
        a.out = {max.data() + 1, sum.data() + 1, acc.data() + d};
        attend_decode(stream.get(), a);
        merge_partials(stream.get(), {.parts = {max.data(), sum.data(), acc.data()},
                                      .heads = heads,
                                      .splits = splits,
                                      .value_dim = d,
                                      .out = {},
                                      .finished = out.data()});
        const auto got = out.host(stream);
        for (std::size_t h = 0; h < heads; ++h) {
          std::vector<float> acc_of_head(d);
          kernels::Partial want{.acc = acc_of_head.data()};
          std::vector<std::uint32_t> rows;
          for (std::uint32_t i = 0; i < 10; ++i) rows.push_back(i);
          for (std::uint32_t i = 290; i < 295; ++i) rows.push_back(i);
          for (std::size_t i = 0; i < n; ++i) rows.push_back(20 + ids[h * stride + i]);
          kernels::attend_partial<kernels::Level::kScalar>({.q = q.data() + h * d,
                                                            .q_stride = d,
                                                            .group = 1,
                                                            .kv = keys.rows(h / group),
                                                            .ids = rows.data(),
                                                            .n = rows.size(),
                                                            .scale = scale,
                                                            .out = &want});
          for (std::size_t j = 0; j < d; ++j)
            ASSERT_NEAR(got[h * d + j], want.acc[j] / want.sum, 5e-6)
                << "d=" << d << " group=" << group << " n=" << n << " head=" << h;
        }
      }
}

TEST_P(CudaAttendTest, CausalMatchesScalarAtOddTokenCounts) {
  for (const std::size_t tokens : {1u, 2u, 9u, 33u})
    for (const std::size_t pos0 : {0u, 1u, 61u})
      expect_causal(2, 7, 64, 64, tokens, pos0, 0, KvType::kBf16);
}

TEST_P(CudaAttendTest, CausalMatchesScalarAtEveryShape) {
  for (const std::size_t d : {2u, 18u, 64u, 80u, 128u, 256u})
    for (const std::size_t group : {1u, 3u, 9u})
      expect_causal(1, group, d, d == 80 ? 48 : d, 7, 20, 0,
                    group == 3 ? KvType::kF32 : KvType::kBf16);
}

TEST_P(CudaAttendTest, CausalMatchesScalarWithEveryWindow) {
  for (const std::size_t window : {1u, 2u, 31u, 32u, 33u, 500u})
    for (const std::size_t pos0 : {0u, 70u})
      expect_causal(1, 3, 64, 64, 40, pos0, window, KvType::kBf16);
}

TEST_P(CudaAttendTest, CausalReadsNoKeyAfterTheTileNorBeforeItsWindows) {
  HostKeys keys(1, 60, 64, 64, KvType::kF32);
  for (std::size_t i = 0; i < 10 * 64; ++i) keys.k[i] = keys.v[i] = std::nanf("");
  for (std::size_t i = 50 * 64; i < keys.k.size(); ++i) keys.k[i] = keys.v[i] = std::nanf("");
  keys.upload();
  for (const float x : causal(keys, random_floats(10 * 64, 3), 1, 10, 40, 31, 1))
    ASSERT_TRUE(std::isfinite(x));
}

}  // namespace
}  // namespace ra::cuda
