// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "kernels/cuda/device.h"
#include "lib/attention/compute_device.h"
#include "lib/attention/cuda_knn.h"
#include "lib/attention/cuda_row_search.h"
#include "lib/attention/cuda_sparse.h"
#include "lib/core/error.h"
#include "lib/core/memory.h"
#include "lib/core/params.h"
#include "lib/core/provenance.h"
#include "lib/model/cuda_attention.h"
#include "lib/model/cuda_backend.h"
#include "lib/model/cuda_errors.h"
#include "lib/model/decoder.h"

namespace ra::attention {
namespace {

class Cuda : public ComputeDevice {
 public:
  Cuda(int number, const DeviceChoice& choice) : backend_(number, choice.compute), search_(number) {
    model::on_device([&] {
      name_ = cuda::name_of(number);
      note_gpu(name_);
      const std::size_t free = cuda::memory().free;
      limit_ = choice.memory.empty()
                   ? free / 100 * 95
                   : std::min<std::uint64_t>(free, parse_bytes(choice.memory, "--gpu-memory"));
    });
  }

  std::string name() const override { return name_; }
  model::Backend& backend() override { return backend_; }
  std::unique_ptr<model::AttentionPolicy> exact_attention() override {
    return std::make_unique<model::CudaAttention>(backend_);
  }
  std::unique_ptr<model::AttentionPolicy> policy(std::unique_ptr<SparseAttention> sparse) override {
    sparse->set_row_search(&search_);
    if (CudaKnn::serves(sparse->options()))
      return std::make_unique<CudaKnn>(backend_, std::move(sparse), knn_memory_);
    return std::make_unique<CudaSparse>(backend_, std::move(sparse));
  }

  void check_fits(const model::Config& config, const model::Weights& weights,
                  const model::KvCache::Shape& cache, std::size_t caches) const override {
    if (cache.type == model::KvType::kInt8)
      fail_usage("--kv-dtype", "int8 has no CUDA kernels", "bf16 or f32");
    if (const int dim = std::max(config.head_dim, config.value_dim);
        static_cast<std::size_t>(dim) > cuda::kMostHeadDim)
      fail_usage("--device",
                 fmt::format("heads of {}, CUDA kernels have at most {}", dim, cuda::kMostHeadDim),
                 "use --device cpu");
    auto needs =
        model::cuda_memory(config, weights, cache, caches, model::Decoder::Options{}.chunk);
    const auto size = [](auto n) { return static_cast<std::size_t>(n); };
    needs.push_back({"exact search", KnnMemory::bytes(size(config.n_heads), size(config.value_dim),
                                                      size(cache.capacity))});
    needs.push_back(
        {"index builds", CudaRowSearch::bytes(size(cache.capacity), size(config.head_dim),
                                              index::RowSearch::kMost)});
    const std::uint64_t required = total_bytes(needs);
    if (required <= limit_) return;
    const auto largest = std::ranges::max_element(
        needs, [](const MemoryNeed& a, const MemoryNeed& b) { return a.bytes < b.bytes; });
    fail(Exit::kNoMemory, {.what = "not enough device memory",
                           .file = "",
                           .where = "--gpu-memory",
                           .why = fmt::format("requires {} bytes ({} of them {}), {} available",
                                              required, largest->bytes, largest->what, limit_),
                           .hint = "fewer tokens, or --device cpu"});
  }

 private:
  model::CudaBackend backend_;
  CudaRowSearch search_;
  KnnMemory knn_memory_;  // of all policies: their work is in the backend's one stream
  std::string name_;
  std::uint64_t limit_ = 0;
};

}  // namespace

std::unique_ptr<ComputeDevice> open_cuda_device(int number, const DeviceChoice& choice) {
  if (const std::string why = cuda::why_absent(number); !why.empty())
    fail(Exit::kUnavailable, {.what = "no such device",
                              .file = "",
                              .where = "--device",
                              .why = choice.name + ": " + why,
                              .hint = "use --device cpu"});
  return std::make_unique<Cuda>(number, choice);
}

}  // namespace ra::attention
