// SPDX-License-Identifier: Apache-2.0
#include "lib/attention/cuda_sparse.h"

#include <memory>

#include "tests/support/cuda/machine.h"
#include "tests/support/random.h"

namespace ra::attention {
namespace {

using testing::random_matrix;

constexpr AttentionShape kShape{
    .layers = 1, .heads = 6, .kv_heads = 2, .head_dim = 16, .value_dim = 16};
constexpr std::size_t kPrompt = 300;

class CudaSparseTest : public testing::DeviceTest {
 protected:
  static SparseOptions options(const char* index, bool sequential) {
    SparseOptions o{.sink = 16, .window = 64, .k = 10, .sequential = sequential};
    if (*index != '\0') o.index = index::check_index_spec(parse_specs(index).front());
    return o;
  }
  static std::unique_ptr<SparseAttention> make(const SparseOptions& o,
                                               const model::KvCache& cache) {
    auto policy = std::make_unique<SparseAttention>(kShape, o);
    policy->build(cache, {}, 1);
    return policy;
  }
};
RA_INSTANTIATE_MACHINES(CudaSparseTest);

TEST_P(CudaSparseTest, EqualsTheCpuAlone) {
  for (const char* index : {"", "flat"})
    for (const bool sequential : {false, true})
      for (const double top_p : {1.0, 0.5}) {
        model::CudaBackend backend(0);
        model::KvCache cache({1, 2, 16, 16, 400});
        const Matrix<float> k = random_matrix(kPrompt, 32, 1), v = random_matrix(kPrompt, 32, 2);
        cache.append(0, k.view(), v.view());  // as from a snapshot: the device has none of it
        SparseOptions o = options(index, sequential);
        o.cut.top_p = top_p;
        const auto cpu = make(o, cache);
        CudaSparse device(backend, make(o, cache));
        for (int step = 0; step < 3; ++step) {
          const auto seed = static_cast<std::uint64_t>(10 + step);
          const Matrix<float> q = random_matrix(1, 96, seed), row = random_matrix(1, 32, seed + 50);
          const auto memory = backend.allocate(3 * 96);
          const MatView<float> dq(memory.get(), 1, 96), out(memory.get() + 96, 1, 96),
              dk(memory.get() + 192, 1, 32);
          backend.from_host(q.view(), dq);
          backend.from_host(row.view(), dk);
          backend.append(cache, 0, dk, dk);
          model::AttendInput in{
              .layer = 0, .pos = cache.size(0) - 1, .q = q.view(), .cache = &cache, .scale = 0.25f};
          Matrix<float> want(1, 96);
          const model::AttendStats cpu_stats = cpu->attend(in, want.view());
          in.q = dq;
          const model::AttendStats stats = device.attend(in, out);
          const auto got = backend.on_host(out);
          for (std::size_t i = 0; i < 96; ++i)
            ASSERT_NEAR(got.row(0)[i], want.row(0)[i], 5e-6)
                << "index " << index << " step " << step;
          EXPECT_EQ(stats.distances, cpu_stats.distances);
          EXPECT_EQ(stats.attended_keys, cpu_stats.attended_keys);
          EXPECT_EQ(stats.bytes, cpu_stats.bytes);
        }
      }
}

TEST_P(CudaSparseTest, SeveralRowsAreExact) {
  model::CudaBackend backend(0);
  model::KvCache cache({1, 2, 16, 16, 400});
  const Matrix<float> k = random_matrix(kPrompt, 32, 1), v = random_matrix(kPrompt, 32, 2),
                      q = random_matrix(4, 96, 3);
  cache.append(0, k.view(), v.view());
  CudaSparse device(backend, make(options("", false), cache));
  const auto memory = backend.allocate(2 * 4 * 96);
  const MatView<float> dq(memory.get(), 4, 96), out(memory.get() + 4 * 96, 4, 96);
  backend.from_host(q.view(), dq);
  model::AttendInput in{.layer = 0,
                        .pos = static_cast<std::int64_t>(kPrompt) - 4,
                        .q = q.view(),
                        .cache = &cache,
                        .scale = 0.25f};
  Matrix<float> want(4, 96);
  model::ExactAttention(model::Compute::kF32).attend(in, want.view());
  in.q = dq;
  device.attend(in, out);
  const auto got = backend.on_host(out);
  for (std::size_t t = 0; t < 4; ++t)
    for (std::size_t i = 0; i < 96; ++i) ASSERT_NEAR(got.row(t)[i], want.row(t)[i], 5e-6);
}

}  // namespace
}  // namespace ra::attention
