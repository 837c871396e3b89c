// SPDX-License-Identifier: Apache-2.0
#include "kernels/attend.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <vector>

#include "lib/core/matrix.h"
#include "tests/support/levels.h"
#include "tests/support/random.h"

namespace ra::kernels {
namespace {

using testing::random_bf16;
using testing::random_floats;

constexpr KvType kAllTypes[] = {KvType::kF32, KvType::kBf16, KvType::kInt8};

// int8 rows of `x` with scales that differ from row to row; x becomes what they hold.
std::vector<std::int8_t> int8_rows(std::vector<float>& x, std::size_t dim,
                                   const std::vector<float>& gain) {
  const std::size_t bytes = row_bytes(KvType::kInt8, dim);
  std::vector<std::int8_t> rows(x.size() / dim * bytes);
  for (std::size_t t = 0; t < x.size() / dim; ++t) {
    const float scale = (1 + static_cast<float>(t % 5)) / 127;
    for (std::size_t i = 0; i < dim; ++i) {
      float& v = x[t * dim + i];
      const float step = std::clamp(std::round(v / scale), -128.0f, 127.0f);
      rows[t * bytes + i] = static_cast<std::int8_t>(step);
      v = step * scale * (gain.empty() ? 1.0f : gain[i]);
    }
    std::memcpy(&rows[t * bytes + dim], &scale, sizeof scale);
  }
  return rows;
}

// Keys and values of one head in f32 and in `type`; f32 holds what the type can.
struct Rows {
  Rows(std::size_t count, std::size_t head_dim, std::size_t value_dim, KvType kv_type)
      : n(count), d(head_dim), dv(value_dim), type(kv_type) {
    k = random_floats(n * d, 11), v = random_floats(n * dv, 12);
    if (type == KvType::kF32) return;
    if (type == KvType::kInt8) {
      gain = random_floats(d, 14);
      for (float& g : gain) g = 1 + 0.5f * g;
      k8 = int8_rows(k, d, gain), v8 = int8_rows(v, dv, {});
      return;
    }
    k16 = random_bf16(n * d, 11), v16 = random_bf16(n * dv, 12);
    std::transform(k16.begin(), k16.end(), k.begin(), [](bf16 x) { return to_float(x); });
    std::transform(v16.begin(), v16.end(), v.begin(), [](bf16 x) { return to_float(x); });
  }
  KvRows view() const {
    KvRows rows{.type = type, .head_dim = d, .value_dim = dv};
    if (type == KvType::kF32) rows.k = k.data(), rows.v = v.data();
    if (type == KvType::kBf16) rows.k = k16.data(), rows.v = v16.data();
    if (type == KvType::kInt8) rows.k = k8.data(), rows.v = v8.data(), rows.k_gain = gain.data();
    return rows;
  }
  std::size_t n, d, dv;
  KvType type;
  std::vector<float> k, v, gain;
  std::vector<std::int8_t> k8, v8;
  std::vector<bf16> k16, v16;
};

// Softmax attention of one query row to `keys`, in f64.
std::vector<double> reference(const Rows& rows, const float* q, float scale,
                              const std::vector<std::uint32_t>& keys) {
  std::vector<double> logits, out(rows.dv, 0.0);
  for (const std::uint32_t key : keys) {
    double dot = 0;
    for (std::size_t i = 0; i < rows.d; ++i)
      dot += static_cast<double>(q[i]) * static_cast<double>(rows.k[key * rows.d + i]);
    logits.push_back(dot * static_cast<double>(scale));
  }
  const double max = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const double p = std::exp(logits[i] - max);
    sum += p;
    for (std::size_t j = 0; j < rows.dv; ++j)
      out[j] += p * static_cast<double>(rows.v[keys[i] * rows.dv + j]);
  }
  for (double& x : out) x /= sum;
  return out;
}

std::vector<std::uint32_t> first_keys(std::size_t n) {
  std::vector<std::uint32_t> ids(n);
  std::iota(ids.begin(), ids.end(), 0u);
  return ids;
}

// The last `window` of the first n keys; all of them if window is 0.
std::vector<std::uint32_t> window_keys(std::size_t n, std::size_t window) {
  std::vector<std::uint32_t> ids = first_keys(n);
  if (window > 0 && window < n)
    ids.erase(ids.begin(), ids.end() - static_cast<std::ptrdiff_t>(window));
  return ids;
}

// ---- decode -------------------------------------------------------------------------------------

class AttendPartialTest : public testing::LevelTest {
 protected:
  // Attends in the given pieces of the key list, each joined to the same partial results.
  std::vector<float> attend(const Rows& rows, const std::vector<float>& q, std::size_t group,
                            float scale, const std::vector<std::uint32_t>& keys, bool contiguous,
                            const std::vector<std::size_t>& cuts, bool exact) const {
    std::vector<float> acc(group * rows.dv, 0.0f), out(group * rows.dv);
    std::vector<Partial> partials(group);
    for (std::size_t g = 0; g < group; ++g) partials[g].acc = acc.data() + g * rows.dv;
    std::size_t from = 0;
    for (const std::size_t to : cuts) {
      table().attend_partial({.q = q.data(),
                              .q_stride = rows.d + 3,
                              .group = group,
                              .kv = rows.view(),
                              .ids = contiguous ? nullptr : keys.data() + from,
                              .first = contiguous ? keys[0] + from : 0,
                              .n = to - from,
                              .scale = scale,
                              .out = partials.data(),
                              .exact_f32 = exact});
      from = to;
    }
    for (std::size_t g = 0; g < group; ++g) finish(partials[g], out.data() + g * rows.dv, rows.dv);
    return out;
  }

  void expect_matches(std::size_t d, std::size_t dv, std::size_t group, KvType type, std::size_t n,
                      bool contiguous) const {
    SCOPED_TRACE(::testing::Message()
                 << "d=" << d << " dv=" << dv << " group=" << group << " n=" << n
                 << " type=" << static_cast<int>(type) << " contiguous=" << contiguous);
    const Rows rows(n + 9, d, dv, type);
    const auto q = random_floats(group * (d + 3), 13);
    auto near_q = q;  // as a level may take it
    for (float& x : near_q) x = to_float(to_bf16(x));
    // What is left then is the rounding of the weights: values are below 1.
    const bool rounds = type == KvType::kBf16 && GetParam() >= Level::kAvx512;
    const double most = rounds ? std::ldexp(1, -8) : 5e-6;
    const float scale = 1 / std::sqrt(static_cast<float>(d));
    auto keys = first_keys(rows.n);
    if (contiguous) {
      keys.erase(keys.begin(), keys.begin() + 5);
    } else {
      std::reverse(keys.begin(), keys.end());
      std::rotate(keys.begin(), keys.begin() + 3, keys.end());
    }
    keys.resize(n);
    for (const auto& cuts :
         {std::vector<std::size_t>{n}, std::vector<std::size_t>{n / 3, n / 3, 2 * n / 3, n}}) {
      const auto exact = attend(rows, q, group, scale, keys, contiguous, cuts, true),
                 fast = attend(rows, q, group, scale, keys, contiguous, cuts, false),
                 near = attend(rows, near_q, group, scale, keys, contiguous, cuts, false);
      double error = 0, norm = 0;
      for (std::size_t g = 0; g < group; ++g) {
        const auto want = reference(rows, q.data() + g * (d + 3), scale, keys),
                   want_near = reference(rows, near_q.data() + g * (d + 3), scale, keys);
        for (std::size_t j = 0; j < dv; ++j) {
          ASSERT_NEAR(exact[g * dv + j], want[j], 5e-6);
          ASSERT_NEAR(near[g * dv + j], want_near[j], most);
          error += std::pow(fast[g * dv + j] - want[j], 2), norm += want[j] * want[j];
        }
      }
      // bf16 keeps 8 bits: 2^-8 of each factor at most, less on average.
      ASSERT_LE(std::sqrt(error / norm), rounds ? 4e-3 : 1e-6);
    }
  }
};
RA_INSTANTIATE_LEVELS(AttendPartialTest);

TEST_P(AttendPartialTest, MatchesF64AtEveryKeyCount) {
  for (const KvType type : kAllTypes)
    for (std::size_t n = 1; n <= 150; n += n < 40 ? 1 : 23)
      expect_matches(64, 64, 7, type, n, n % 2 == 0);
}

TEST_P(AttendPartialTest, MatchesF64AtEveryShape) {
  for (const KvType type : kAllTypes)
    for (const std::size_t d : {2u, 18u, 64u, 80u, 128u, 256u})
      for (const std::size_t group : {1u, 3u, 4u, 7u, 8u, 9u, 17u})
        expect_matches(d, d == 80 ? 48 : d, group, type, 67, group % 2 == 0);
}

TEST_P(AttendPartialTest, NoKeysLeaveThePartialUntouched) {
  const Rows rows(4, 64, 64, KvType::kBf16);
  const auto q = random_floats(64, 1);
  std::vector<float> acc(64, 0.5f);
  Partial partial{.max = 2, .sum = 3, .acc = acc.data()};
  table().attend_partial({.q = q.data(),
                          .q_stride = 64,
                          .group = 1,
                          .kv = rows.view(),
                          .n = 0,
                          .scale = 1,
                          .out = &partial});
  EXPECT_EQ(partial.max, 2);
  EXPECT_EQ(partial.sum, 3);
  EXPECT_EQ(acc, std::vector<float>(64, 0.5f));
}

TEST_P(AttendPartialTest, DominantKeyTakesAllTheWeight) {
  Rows rows(100, 64, 64, KvType::kF32);
  std::vector<float> q(64, 1.0f), acc(64, 0.0f);
  std::fill_n(rows.k.begin(), rows.k.size(), -100.0f);
  std::fill_n(rows.k.begin() + 77 * 64, 64, 100.0f);
  Partial partial{.acc = acc.data()};
  table().attend_partial({.q = q.data(),
                          .q_stride = 64,
                          .group = 1,
                          .kv = rows.view(),
                          .n = 100,
                          .scale = 1,
                          .out = &partial});
  EXPECT_EQ(partial.max, 6400);
  EXPECT_EQ(partial.sum, 1);
  for (std::size_t j = 0; j < 64; ++j) EXPECT_EQ(acc[j], rows.v[77 * 64 + j]);
}

// ---- prefill ------------------------------------------------------------------------------------

struct CausalShape {
  std::size_t d, dv, group, tokens, pos0;
  KvType type = KvType::kBf16;
  float q_scale = 1;
  std::size_t window = 0;
};

class AttendCausalTest : public testing::LevelTest {
 protected:
  std::vector<float> attend(const CausalShape& s, const Rows& rows, const std::vector<float>& q,
                            bool exact) const {
    AlignedBuffer<std::byte> scratch(causal_scratch_bytes(s.tokens, s.group, s.d, s.dv));
    // Whatever lies in the scratch memory must not reach the result.
    std::fill_n(scratch.data(), scratch.size(), std::byte{0xff});
    std::vector<float> out(s.tokens * s.group * s.dv, std::nanf(""));
    table().attend_causal({.q = q.data(),
                           .q_stride = s.group * s.d,
                           .tokens = s.tokens,
                           .group = s.group,
                           .pos0 = s.pos0,
                           .window = s.window,
                           .kv = rows.view(),
                           .scale = 1 / std::sqrt(static_cast<float>(s.d)),
                           .out = out.data(),
                           .out_stride = s.group * s.dv,
                           .exact_f32 = exact,
                           .scratch = scratch.data()});
    return out;
  }

  void expect_matches(const CausalShape& s) const {
    SCOPED_TRACE(::testing::Message() << "d=" << s.d << " dv=" << s.dv << " group=" << s.group
                                      << " tokens=" << s.tokens << " pos0=" << s.pos0 << " type="
                                      << static_cast<int>(s.type) << " window=" << s.window);
    const Rows rows(s.pos0 + s.tokens, s.d, s.dv, s.type);
    const auto q = random_floats(s.tokens * s.group * s.d, 13, s.q_scale);
    const auto exact = attend(s, rows, q, true), fast = attend(s, rows, q, false);
    double error = 0, size = 0;
    for (std::size_t t = 0; t < s.tokens; ++t)
      for (std::size_t g = 0; g < s.group; ++g) {
        const std::size_t row = t * s.group + g;
        const auto want =
            reference(rows, q.data() + row * s.d, 1 / std::sqrt(static_cast<float>(s.d)),
                      window_keys(s.pos0 + t + 1, s.window));
        for (std::size_t j = 0; j < s.dv; ++j) {
          ASSERT_NEAR(exact[row * s.dv + j], want[j], 5e-6) << "t=" << t << " g=" << g;
          ASSERT_NEAR(fast[row * s.dv + j], want[j], 0.05) << "t=" << t << " g=" << g;
          error += std::pow(fast[row * s.dv + j] - want[j], 2), size += want[j] * want[j];
        }
      }
    // bf16 keeps 8 bits: 2^-8 of each factor at most, less on average.
    EXPECT_LE(std::sqrt(error / size), 6e-3);
  }
};
RA_INSTANTIATE_LEVELS(AttendCausalTest);

TEST_P(AttendCausalTest, MatchesF64AtEveryTokenCount) {
  for (std::size_t tokens = 1; tokens <= 70; tokens += tokens < 6 ? 1 : 7)
    for (const std::size_t group : {1u, 7u}) expect_matches({64, 64, group, tokens, 0});
}

TEST_P(AttendCausalTest, MatchesF64AtEveryShape) {
  for (const std::size_t d : {64u, 80u, 128u, 256u})
    for (const std::size_t group : {1u, 3u, 4u, 7u})
      for (const std::size_t pos0 : {0u, 1u, 511u})
        expect_matches({d, d == 128 ? 96 : d, group, 5, pos0,
                        group == 3   ? KvType::kF32
                        : group == 4 ? KvType::kInt8
                                     : KvType::kBf16});
}

TEST_P(AttendCausalTest, MatchesF64AtOddDimensions) {
  for (const std::size_t d : {2u, 10u, 34u, 66u})
    for (const KvType type : kAllTypes) expect_matches({d, d + 6, 4, 21, 30, type});
}

TEST_P(AttendCausalTest, SharpSoftmaxMovesItsReferenceOften) {
  // Logits of +-30: the running maximum climbs over several key blocks.
  CausalShape s{64, 64, 2, 9, 1000};
  s.q_scale = 10;
  const Rows rows(s.pos0 + s.tokens, s.d, s.dv, s.type);
  auto q = random_floats(s.tokens * s.group * s.d, 13, s.q_scale);
  for (float& x : q) x = to_float(to_bf16(x));  // the rest of the error is that of the softmax
  const auto exact = attend(s, rows, q, true), fast = attend(s, rows, q, false);
  for (std::size_t row = 0; row < s.tokens * s.group; ++row) {
    const auto want =
        reference(rows, q.data() + row * s.d, 0.125f, first_keys(s.pos0 + row / s.group + 1));
    for (std::size_t j = 0; j < s.dv; ++j) {
      ASSERT_NEAR(exact[row * s.dv + j], want[j], 3e-5);
      ASSERT_NEAR(fast[row * s.dv + j], want[j], 0.1);
    }
  }
}

TEST_P(AttendCausalTest, SeveralTokenTilesOfAWideGroup) {
  // 1100 query rows: more than one token tile, and a tile that ends inside a register tile.
  expect_matches({64, 64, 11, 100, 3});
}

TEST_P(AttendCausalTest, MatchesF64WithEveryWindow) {
  // Windows that cut inside a register tile, that lie within one key block and across several, and
  // that leave whole blocks of a tile to only some of its rows.
  for (const std::size_t window : {1u, 2u, 15u, 16u, 17u, 33u, 255u, 256u, 257u, 600u, 5000u})
    for (const std::size_t pos0 : {0u, 3u, 700u})
      expect_matches({64, 64, 3, 40, pos0, KvType::kBf16, 1, window});
  for (const std::size_t group : {1u, 4u, 7u})
    expect_matches({80, 48, group, 300, 290, KvType::kF32, 1, 40});
  expect_matches({256, 256, 4, 530, 0, KvType::kBf16, 1, 512});
  expect_matches({128, 128, 2, 300, 290, KvType::kInt8, 1, 200});
}

TEST_P(AttendCausalTest, KeysBeforeTheWindowsAreNeverRead) {
  Rows rows(900, 64, 64, KvType::kBf16);
  const std::size_t window = 50, pos0 = 870, tokens = 30;
  for (std::size_t i = 0; i < (pos0 + 1 - window) * 64; ++i)
    rows.k16[i] = rows.v16[i] = to_bf16(std::nanf(""));
  const auto q = random_floats(tokens * 64, 5);
  for (const bool exact : {true, false})
    for (const float v :
         attend({64, 64, 1, tokens, pos0, KvType::kBf16, 1, window}, rows, q, exact))
      ASSERT_TRUE(std::isfinite(v));
}

TEST_P(AttendCausalTest, FutureKeysAreNeverRead) {
  // Every key after a row's own position is NaN for that row: one call per prefix length.
  Rows rows(40, 64, 64, KvType::kBf16);
  const auto q = random_floats(64, 5);
  for (std::size_t pos = 0; pos < 40; ++pos) {
    Rows poisoned = rows;
    for (std::size_t i = (pos + 1) * 64; i < poisoned.k16.size(); ++i)
      poisoned.k16[i] = poisoned.v16[i] = to_bf16(std::nanf(""));
    for (const float v : attend({64, 64, 1, 1, pos}, poisoned, q, false))
      ASSERT_TRUE(std::isfinite(v)) << "pos=" << pos;
  }
}

}  // namespace
}  // namespace ra::kernels
