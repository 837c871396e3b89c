// SPDX-License-Identifier: Apache-2.0
#include "lib/attention/cuda_knn.h"

#include <memory>

#include "kernels/cuda/topk.h"
#include "tests/support/cuda/machine.h"
#include "tests/support/random.h"

namespace ra::attention {
namespace {

using testing::random_matrix;

constexpr AttentionShape kShape{
    .layers = 1, .heads = 6, .kv_heads = 2, .head_dim = 16, .value_dim = 16};
constexpr std::size_t kQ = 96, kKv = 32;  // values of a token

SparseOptions options_of(const char* index, int k = 10) {
  SparseOptions o{.sink = 16, .window = 64, .k = k};
  if (*index != '\0') o.index = index::check_index_spec(parse_specs(index).front());
  return o;
}

class CudaKnnTest : public testing::DeviceTest {
 protected:
  // A prompt that came as from a snapshot, so that the device has none of it, and then `steps`
  // tokens by the device and by the CPU alone.
  static void expect_as_cpu(const SparseOptions& o, std::size_t prompt, model::KvType type,
                            int steps, bool budget = false) {
    SCOPED_TRACE(::testing::Message() << "prompt " << prompt << " k " << o.k << " type "
                                      << static_cast<int>(type) << " budget " << budget);
    model::CudaBackend backend(0);
    KnnMemory memory;
    model::KvCache cache({1, 2, 16, 16, 1000, type});
    const Matrix<float> k = random_matrix(prompt, kKv, 1), v = random_matrix(prompt, kKv, 2);
    cache.append(0, k.view(), v.view());
    const auto make = [&] {
      auto sparse = std::make_unique<SparseAttention>(kShape, o);
      sparse->build(cache, {}, 1);
      if (budget) sparse->measure_budget(cache, some_queries, 0.25f);
      return sparse;
    };
    const auto cpu = make();
    ASSERT_EQ(cpu->k_by_head(), budget);
    CudaKnn device(backend, make(), memory);
    for (int step = 0; step < steps; ++step) {
      const auto seed = static_cast<std::uint64_t>(10 + step);
      const Matrix<float> q = random_matrix(1, kQ, seed), row = random_matrix(1, kKv, seed + 500);
      const auto on_device = backend.allocate(2 * kQ + kKv);
      const MatView<float> dq(on_device.get(), 1, kQ), out(on_device.get() + kQ, 1, kQ),
          dk(on_device.get() + 2 * kQ, 1, kKv);
      backend.from_host(q.view(), dq);
      backend.from_host(row.view(), dk);
      backend.append(cache, 0, dk, dk);
      model::AttendInput in{
          .layer = 0, .pos = cache.size(0) - 1, .q = q.view(), .cache = &cache, .scale = 0.25f};
      Matrix<float> want(1, kQ);
      const model::AttendStats cpu_stats = cpu->attend(in, want.view());
      in.q = dq;
      const model::AttendStats stats = device.attend(in, out);
      const auto got = backend.on_host(out);
      for (std::size_t i = 0; i < kQ; ++i)
        ASSERT_NEAR(got.row(0)[i], want.row(0)[i], 5e-6) << "step " << step << " at " << i;
      ASSERT_EQ(stats.distances, cpu_stats.distances) << step;
      ASSERT_EQ(stats.indexed_keys, cpu_stats.indexed_keys) << step;
      ASSERT_EQ(stats.attended_keys, cpu_stats.attended_keys) << step;
      ASSERT_EQ(stats.bytes, cpu_stats.bytes) << step;
    }
  }
  static PlacedQueries some_queries(int, int head) {
    PlacedQueries q{random_matrix(8, 16, static_cast<std::uint64_t>(100 + head)), {}};
    for (std::int64_t pos = 280; pos < 288; ++pos) q.positions.push_back(pos);
    return q;
  }
};
RA_INSTANTIATE_MACHINES(CudaKnnTest);

TEST_P(CudaKnnTest, EqualsTheCpuAlone) {
  for (const model::KvType type : {model::KvType::kBf16, model::KvType::kF32})
    for (const int k : {1, 10, 100}) expect_as_cpu(options_of("flat", k), 300, type, 3);
}

TEST_P(CudaKnnTest, RowsOfScoresAreSearchedInPieces) {
  // Two halves; one of 8 k keys, and three that are fewer than k.
  expect_as_cpu(options_of("flat", 32), 16 + 64 + 824, model::KvType::kBf16, 1);
  expect_as_cpu(options_of("flat", 100), 16 + 64 + 803, model::KvType::kF32, 1);
}

TEST_P(CudaKnnTest, KeysThatLeftTheWindowCompete) {
  // Nothing is appended to a flat index: they are scored beside it, in the end decoded ones too.
  SparseOptions o = options_of("flat");
  o.window = 8;
  expect_as_cpu(o, 100, model::KvType::kBf16, 20);
}

TEST_P(CudaKnnTest, FewerKeysThanKAreAllAttended) {
  expect_as_cpu(options_of("flat", 50), 16 + 64 + 7, model::KvType::kBf16, 3);
}

TEST_P(CudaKnnTest, WhereNothingIsIndexedAttentionIsExact) {
  for (const std::size_t prompt : {5u, 16u, 80u})
    expect_as_cpu(options_of("flat"), prompt, model::KvType::kBf16, 3);
}

TEST_P(CudaKnnTest, HeadsWithAKOfTheirOwnAreLeftToTheCpu) {
  expect_as_cpu(options_of("flat"), 300, model::KvType::kBf16, 2, /*budget=*/true);
}

TEST_P(CudaKnnTest, SeveralRowsAndWindowsAreExact) {
  for (const std::size_t rows : {1u, 4u}) {
    model::CudaBackend backend(0);
    KnnMemory memory;
    model::KvCache cache({1, 2, 16, 16, 400});
    const Matrix<float> k = random_matrix(300, kKv, 1), v = random_matrix(300, kKv, 2),
                        q = random_matrix(rows, kQ, 3);
    cache.append(0, k.view(), v.view());
    auto sparse = std::make_unique<SparseAttention>(kShape, options_of("flat"));
    sparse->build(cache, {}, 1);
    CudaKnn device(backend, std::move(sparse), memory);
    const auto on_device = backend.allocate(2 * rows * kQ);
    const MatView<float> dq(on_device.get(), rows, kQ), out(on_device.get() + rows * kQ, rows, kQ);
    backend.from_host(q.view(), dq);
    model::AttendInput in{.layer = 0,
                          .pos = static_cast<std::int64_t>(300 - rows),
                          .q = q.view(),
                          .cache = &cache,
                          .scale = 0.25f,
                          .window = rows == 1 ? 20 : 0};
    Matrix<float> want(rows, kQ);
    model::ExactAttention(model::Compute::kF32).attend(in, want.view());
    in.q = dq;
    EXPECT_EQ(device.attend(in, out).distances, 0);
    const auto got = backend.on_host(out);
    for (std::size_t t = 0; t < rows; ++t)
      for (std::size_t i = 0; i < kQ; ++i) ASSERT_NEAR(got.row(t)[i], want.row(t)[i], 5e-6);
  }
}

// The plan of a run: what is taken is what was announced.
TEST_P(CudaKnnTest, MemoryIsThatOfThePlan) {
  KnnMemory memory;
  memory.reserve(6, 16, 1000);
  const std::size_t floats = memory.scores.size() + memory.best.size() + memory.parts.size();
  EXPECT_EQ(4 * (floats + memory.ids.size()), KnnMemory::bytes(6, 16, 1000));
}

TEST(CudaKnn, ServesExactSearchForTheTopKAndNothingElse) {
  EXPECT_TRUE(CudaKnn::serves(options_of("flat")));
  EXPECT_TRUE(CudaKnn::serves(options_of("flat:bits=all", cuda::kMostTopk)));
  EXPECT_FALSE(CudaKnn::serves(options_of("flat", cuda::kMostTopk + 1)));
  EXPECT_FALSE(CudaKnn::serves(options_of("")));
  EXPECT_FALSE(CudaKnn::serves(options_of("qivf")));
  EXPECT_FALSE(CudaKnn::serves(options_of("flat:bits=8")));
  const auto with = [](auto change) {
    SparseOptions o = options_of("flat");
    change(o);
    return CudaKnn::serves(o);
  };
  EXPECT_FALSE(with([](SparseOptions& o) { o.cut.top_p = 0.9; }));
  EXPECT_FALSE(with([](SparseOptions& o) { o.cut.range = 3; }));
  EXPECT_FALSE(with([](SparseOptions& o) { o.tail = true; }));
  EXPECT_FALSE(with([](SparseOptions& o) { o.sequential = true; }));
}

}  // namespace
}  // namespace ra::attention
