// SPDX-License-Identifier: Apache-2.0
#include "lib/attention/compute_device.h"

#include <gtest/gtest.h>

#include "lib/core/error.h"

namespace ra::attention {
namespace {

Exit code_of(const DeviceChoice& choice) {
  try {
    open_device(choice);
  } catch (const Error& e) {
    return e.code();
  }
  return Exit::kOk;
}

TEST(ComputeDevice, TheCpuTakesPoliciesAsTheyAre) {
  const auto device = open_device({});
  EXPECT_EQ(device->name(), "cpu");
  auto sparse = std::make_unique<SparseAttention>(
      AttentionShape{.layers = 1, .heads = 2, .kv_heads = 1, .head_dim = 8, .value_dim = 8},
      SparseOptions{});
  const SparseAttention* raw = sparse.get();
  EXPECT_EQ(device->policy(std::move(sparse)).get(), raw);
  EXPECT_NE(device->exact_attention(), nullptr);
}

TEST(ComputeDevice, NamesThatAreNoneAreUsageErrors) {
  for (const char* name : {"", "gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:1x", "cuda2", "CPU"})
    EXPECT_EQ(code_of({.name = name}), Exit::kUsage) << name;
  EXPECT_EQ(code_of({.name = "cpu", .memory = "1GiB"}), Exit::kUsage);
}

TEST(ComputeDevice, ADeviceThatIsNotThereIsUnavailable) {
  EXPECT_EQ(code_of({.name = "cuda:4096"}), Exit::kUnavailable);
}

}  // namespace
}  // namespace ra::attention
