// SPDX-License-Identifier: Apache-2.0
#include "lib/model/device_kv.h"

#include "tests/support/cuda/machine.h"
#include "tests/support/random.h"

namespace ra::model {
namespace {

using testing::OnDevice;

class DeviceKvTest : public testing::DeviceTest {
 protected:
  // What the device holds of a layer is what the cache holds.
  static void expect_equal(cuda::Copies& copies, const cuda::DeviceKeys& keys, const KvCache& cache,
                           int layer) {
    const KvCache::Shape& s = cache.shape();
    for (int h = 0; h < s.kv_heads; ++h)
      for (const bool values : {false, true}) {
        const std::size_t row =
            kernels::row_bytes(s.type, static_cast<std::size_t>(values ? s.value_dim : s.head_dim));
        const std::size_t bytes = static_cast<std::size_t>(cache.size(layer)) * row;
        const kernels::KvRows rows = cache.rows(layer, h);
        const auto* want = static_cast<const std::byte*>(values ? rows.v : rows.k);
        std::vector<std::byte> got(bytes);
        copies.to_host(got.data(),
                       static_cast<const std::byte*>(values ? keys.v : keys.k) +
                           static_cast<std::size_t>(h) * static_cast<std::size_t>(s.capacity) * row,
                       bytes);
        copies.stream().synchronise();
        ASSERT_TRUE(std::equal(got.begin(), got.end(), want)) << "layer " << layer << " head " << h;
      }
  }
};
RA_INSTANTIATE_MACHINES(DeviceKvTest);

TEST_P(DeviceKvTest, FollowsAppendsTruncationAndRowsFromElsewhere) {
  for (const KvType type : {KvType::kBf16, KvType::kF32}) {
    const KvCache::Shape shape{2, 3, 10, 6, 20, type};
    KvCache cache(shape);
    DeviceKv device(shape);
    const cuda::Stream stream;
    cuda::Copies copies(stream);
    const auto append = [&](std::size_t tokens, std::uint64_t seed, bool through_device) {
      const auto k = testing::random_floats(tokens * 30, seed),
                 v = testing::random_floats(tokens * 18, seed + 1);
      const OnDevice<float> dk(k), dv(v);
      for (int layer = 0; layer < 2; ++layer) {
        if (through_device)
          device.append(copies, cache, layer, {dk.data(), tokens, 30}, {dv.data(), tokens, 18});
        cache.append(layer, {k.data(), tokens, 30}, {v.data(), tokens, 18});
      }
      stream.synchronise();
      for (int layer = 0; layer < 2; ++layer)
        expect_equal(copies, device.keys(copies, cache, layer), cache, layer);
    };
    append(5, 1, true);
    append(1, 2, true);
    append(4, 3, false);
    append(2, 4, true);
    cache.truncate(6);
    append(3, 5, true);  // other rows than those that were there
    append(1, 6, false);
  }
}

}  // namespace
}  // namespace ra::model
