// SPDX-License-Identifier: Apache-2.0
#include "lib/attention/compute_device.h"

#include <fmt/format.h>

#include <charconv>
#include <utility>

#include "lib/core/error.h"
#include "lib/model/cpu_backend.h"
#include "lib/model/exact_attention.h"

namespace ra::attention {
namespace {

class Cpu : public ComputeDevice {
 public:
  explicit Cpu(model::Compute compute) : compute_(compute), backend_(compute) {}
  std::string name() const override { return "cpu"; }
  model::Backend& backend() override { return backend_; }
  std::unique_ptr<model::AttentionPolicy> exact_attention() override {
    return std::make_unique<model::ExactAttention>(compute_);
  }
  std::unique_ptr<model::AttentionPolicy> policy(std::unique_ptr<SparseAttention> sparse) override {
    return sparse;
  }
  void check_fits(const model::Config&, const model::Weights&, const model::KvCache::Shape&,
                  std::size_t) const override {}

 private:
  model::Compute compute_;
  model::CpuBackend backend_;
};

}  // namespace

std::unique_ptr<ComputeDevice> open_device(const DeviceChoice& choice) {
  const std::string_view name = choice.name;
  if (name == "cpu") {
    if (!choice.memory.empty())
      fail_usage("--gpu-memory", "--device cpu has none", "for --device cuda");
    return std::make_unique<Cpu>(choice.compute);
  }
  int number = 0;
  const std::string_view prefix = "cuda:";
  if (name.starts_with(prefix)) {
    const char* end = name.data() + name.size();
    const auto [stop, error] = std::from_chars(name.data() + prefix.size(), end, number);
    if (error != std::errc{} || stop != end || number < 0) number = -1;
  }
  if (number < 0 || (name != "cuda" && !name.starts_with(prefix)))
    fail_usage("--device", fmt::format("unknown device '{}'", name), "cpu, cuda or cuda:N");
  return open_cuda_device(number, choice);
}

}  // namespace ra::attention
