// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <string>
#include <vector>

#include "lib/attention/compute_device.h"
#include "lib/attention/cuda_knn.h"
#include "lib/core/error.h"
#include "lib/model/decoder.h"
#include "lib/model/load.h"
#include "tests/support/cuda/machine.h"
#include "tests/support/fake_gguf.h"
#include "tests/support/tiny_run.h"

namespace ra::attention {
namespace {

class CudaDeviceTest : public testing::DeviceTest {};
RA_INSTANTIATE_MACHINES(CudaDeviceTest);

TEST_P(CudaDeviceTest, ABudgetThatIsTooSmallIsKnownBeforeTheStart) {
  const test::FakeGguf file(test::tiny_model("qwen2-f32"));
  const model::Model m = model::load(file);
  const model::Config& c = m.config;
  const model::KvCache::Shape shape{c.n_layers, c.n_kv_heads, c.head_dim, c.value_dim, 100};
  const auto code = [&](const char* memory, model::KvCache::Shape s) {
    try {
      open_device({.name = "cuda", .memory = memory})->check_fits(c, m.weights, s, 1);
    } catch (const Error& e) {
      EXPECT_NE(
          std::string(e.what()).find(e.code() == Exit::kNoMemory ? "--gpu-memory" : "--kv-dtype"),
          std::string::npos)
          << e.what();
      return e.code();
    }
    return Exit::kOk;
  };
  EXPECT_EQ(code("", shape), Exit::kOk);
  EXPECT_EQ(code("1MiB", shape), Exit::kNoMemory);
  model::KvCache::Shape int8 = shape;
  int8.type = model::KvType::kInt8;
  EXPECT_EQ(code("", int8), Exit::kUsage);
}

// Sparse modes on the device, beside the same on the CPU: the tokens of a tiny model.
void expect_as_cpu(const char* index, bool alone) {
  const test::FakeGguf file(test::tiny_model("qwen2-f32"));
  const model::Model m = model::load(file);
  const auto ids = test::tiny_ids(60);
  std::vector<std::vector<float>> logits;
  for (const char* name : {"cpu", "cuda"}) {
    const auto device = open_device({.name = name, .compute = model::Compute::kF32});
    const model::Config& c = m.config;
    model::KvCache cache(
        {c.n_layers, c.n_kv_heads, c.head_dim, c.value_dim, 64, model::KvType::kF32});
    const auto exact = device->exact_attention();
    model::Decoder decoder(m, device->backend(), cache, *exact, {.chunk = 32});
    decoder.prefill(std::span(ids).first(50));
    SparseOptions options{.sink = 4, .window = 8, .k = 5};
    options.index = index::check_index_spec(parse_specs(index).front());
    auto sparse = std::make_unique<SparseAttention>(shape_of(c), options);
    sparse->build(cache, {}, 1);
    const auto policy = device->policy(std::move(sparse));
    if (device->name() != "cpu") {
      EXPECT_EQ(dynamic_cast<CudaKnn*>(policy.get()) != nullptr, alone);
    }
    decoder.set_attention(*policy);
    std::vector<float>& last = logits.emplace_back();
    for (std::size_t i = 50; i < ids.size(); ++i) {
      const auto step = decoder.step(ids[i]);
      last.assign(step.begin(), step.end());
    }
  }
  const float most = *std::max_element(logits[0].begin(), logits[0].end());
  for (std::size_t i = 0; i < logits[0].size(); ++i)
    ASSERT_NEAR(logits[0][i], logits[1][i], 1e-3f * std::max(1.0f, most)) << i;
}

TEST_P(CudaDeviceTest, DecodesAloneAsTheCpuDoes) { expect_as_cpu("flat", true); }

TEST_P(CudaDeviceTest, DecodesBesideTheCpuAsTheCpuAlone) { expect_as_cpu("flat:bits=8", false); }

}  // namespace
}  // namespace ra::attention
