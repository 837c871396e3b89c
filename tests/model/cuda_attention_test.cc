// SPDX-License-Identifier: Apache-2.0
#include "lib/model/cuda_attention.h"

#include <vector>

#include "lib/core/matrix.h"
#include "tests/support/cuda/machine.h"
#include "tests/support/random.h"
#include "tests/support/reference_backend.h"

namespace ra::model {
namespace {

using testing::random_matrix;

class CudaAttentionTest : public testing::DeviceTest {};
RA_INSTANTIATE_MACHINES(CudaAttentionTest);

TEST_P(CudaAttentionTest, MatchesTheReferenceInPrefillAndDecode) {
  test::ReferenceAttention reference;
  for (const KvType type : {KvType::kBf16, KvType::kF32})
    for (const std::int64_t window : {0, 9})
      for (const std::size_t tokens : {1u, 5u}) {
        CudaBackend backend(0);
        CudaAttention attention(backend);
        const int heads = 6, kv_heads = 2, dim = 16;
        const std::size_t keys = 40;
        KvCache cache({2, kv_heads, dim, dim, 50, type});
        const Matrix<float> k = random_matrix(keys, 32, 1), v = random_matrix(keys, 32, 2),
                            q = random_matrix(tokens, 96, 3);
        const auto on_device = [&](const Matrix<float>& m) {
          auto memory = backend.allocate(m.rows() * m.cols());
          backend.from_host(m.view(), {memory.get(), m.rows(), m.cols()});
          return memory;
        };
        const auto dk = on_device(k), dv = on_device(v), dq = on_device(q),
                   out = on_device(Matrix<float>(tokens, 96));
        backend.append(cache, 1, {dk.get(), keys, 32}, {dv.get(), keys, 32});
        EXPECT_EQ(cache.size(1), 40);
        AttendInput in{.layer = 1,
                       .pos = static_cast<std::int64_t>(keys - tokens),
                       .q = q.view(),
                       .cache = &cache,
                       .scale = 0.25f,
                       .window = window};
        Matrix<float> want(tokens, static_cast<std::size_t>(heads * dim));
        reference.attend(in, want.view());
        in.q = {dq.get(), tokens, 96};
        const AttendStats stats = attention.attend(in, {out.get(), tokens, 96});
        EXPECT_GT(stats.bytes, 0);
        const auto got = backend.on_host({out.get(), tokens, 96});
        for (std::size_t t = 0; t < tokens; ++t)
          for (std::size_t i = 0; i < 96; ++i)
            ASSERT_NEAR(got.row(t)[i], want.row(t)[i], 5e-6) << t << ' ' << i;
      }
}

}  // namespace
}  // namespace ra::model
