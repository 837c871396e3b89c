// SPDX-License-Identifier: Apache-2.0
#include "kernels/score.h"

#include <cmath>

#include "tests/support/levels.h"
#include "tests/support/random.h"

namespace ra::kernels {
namespace {

using testing::random_bf16;
using testing::random_floats;

class ScoreTest : public testing::LevelTest {};
RA_INSTANTIATE_LEVELS(ScoreTest);

constexpr std::size_t kKeys = 41;  // rows of every key matrix here

template <class T>
constexpr KvType kTypeOf = KvType::kF32;
template <>
constexpr KvType kTypeOf<bf16> = KvType::kBf16;

// Scores some keys of `keys` and compares with f64.
template <class T>
void check(const OpTable& table, const std::vector<T>& keys, std::size_t shift, std::size_t stride,
           std::size_t dim, std::size_t group, const std::uint32_t* ids, std::size_t n) {
  const auto q = random_floats(group * (dim + 1) + 1, dim * group + n);
  const std::size_t first = ids == nullptr ? 2 : 0, out_stride = n + 2;
  std::vector<float> out(group * out_stride + 1, 7.0f);
  ScoreArgs a;
  a.q = q.data() + 1;
  a.q_stride = dim + 1;
  a.group = group;
  a.dim = dim;
  a.keys = keys.data() + shift;
  a.type = kTypeOf<T>;
  a.key_stride = stride;
  a.ids = ids;
  a.first = first;
  a.n = n;
  a.out = out.data();
  a.out_stride = out_stride;
  table.score(a);
  for (std::size_t g = 0; g < group; ++g) {
    for (std::size_t j = 0; j < n; ++j) {
      const std::size_t row = ids != nullptr ? ids[j] : first + j;
      double want = 0, magnitude = 0;
      for (std::size_t i = 0; i < dim; ++i) {
        const double p = static_cast<double>(a.q[g * a.q_stride + i]) *
                         static_cast<double>(to_float(keys[shift + row * stride + i]));
        want += p;
        magnitude += std::fabs(p);
      }
      ASSERT_NEAR(out[g * out_stride + j], want, 1e-6 * magnitude)
          << "dim=" << dim << " group=" << group << " n=" << n << " g=" << g << " j=" << j
          << (ids != nullptr ? " gathered" : " in a row");
    }
    ASSERT_EQ(out[g * out_stride + n], 7.0f) << "wrote past row " << g;
  }
}

TEST_P(ScoreTest, MatchesF64ForEveryDimension) {
  const std::uint32_t ids[] = {40, 0, 7, 7, 19, 3, 38};
  for (std::size_t dim = 0; dim <= 130; ++dim) {
    const std::size_t stride = dim + 3, shift = dim % 3;
    const auto f32 = random_floats(kKeys * stride + shift, dim);
    const auto b16 = random_bf16(kKeys * stride + shift, dim);
    for (const std::size_t group : {1u, 3u, 6u}) {
      check(table(), f32, shift, stride, dim, group, nullptr, 7);
      check(table(), f32, shift, stride, dim, group, ids, 7);
      check(table(), b16, shift, stride, dim, group, nullptr, 7);
      check(table(), b16, shift, stride, dim, group, ids, 7);
    }
  }
}

TEST_P(ScoreTest, MatchesF64ForEveryGroupAndCount) {
  std::vector<std::uint32_t> ids;
  for (std::uint32_t i = 0; i < kKeys; ++i)
    ids.push_back((i * 17 + 5) % static_cast<std::uint32_t>(kKeys));
  const auto f32 = random_floats(kKeys * 24, 1);
  const auto b16 = random_bf16(kKeys * 24, 2);
  for (std::size_t group = 0; group <= 9; ++group)
    for (std::size_t n = 0; n <= 39; ++n) {
      check(table(), f32, 0, 24, 24, group, nullptr, n);
      check(table(), f32, 0, 24, 24, group, ids.data(), n);
      check(table(), b16, 0, 24, 24, group, nullptr, n);
      check(table(), b16, 0, 24, 24, group, ids.data(), n);
    }
}

}  // namespace
}  // namespace ra::kernels
