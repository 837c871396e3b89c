// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <initializer_list>
#include <map>
#include <memory>
#include <vector>

#include "kernels/cuda/copies.h"
#include "kernels/cuda/device_buffer.h"
#include "kernels/cuda/gemm.h"
#include "kernels/cuda/gemv.h"
#include "kernels/cuda/stream.h"
#include "lib/core/memory.h"
#include "lib/model/backend.h"
#include "lib/model/device_kv.h"

namespace ra::model {

// The forward pass on a CUDA device, in one stream. Weights are copied there in their blocks when
// they are first used; a few rows (decode) go through gemv, many (prefill) through cuBLAS on panels
// decoded to bf16. Every KV cache that is appended to or attended to has its rows on the device
// too. Work is only queued: what reads or writes host memory waits for it. Throws
// Error{kNoMemory} where the device has no room, Error{kUnavailable} where it fails.
class CudaBackend : public Backend {
 public:
  explicit CudaBackend(int device, Compute compute = Compute::kAuto);

  void prepare(const Weights& weights) override;
  std::shared_ptr<float> allocate(std::size_t n) override;
  MatView<const float> on_host(MatView<const float> x) override;
  void from_host(MatView<const float> rows, MatView<float> x) override;
  std::optional<std::size_t> first_bad_row(MatView<const float> x) override;
  void append(KvCache& cache, int layer, MatView<const float> k, MatView<const float> v) override;
  void start_clock() override;
  void lap(double* ms) override;
  kernels::Transfers transfers() override;

  void embed(const Weight& table, std::span<const std::int32_t> ids, float scale,
             MatView<float> x) override;
  void matmul(MatView<const float> x, std::initializer_list<Product> products) override;
  void matmul_add(const Weight& w, MatView<const float> x, MatView<float> y) override;
  void add(MatView<const float> y, MatView<float> x) override;
  void rms_norm(MatView<const float> x, const Weight& gain, float eps, MatView<float> y) override;
  void rope(const Rope& rope, std::int64_t pos, MatView<float> x) override;
  void feed_forward(const FeedForward& w, MatView<const float> h, MatView<float> y) override;

  // Keys and values of a layer of `cache`, which is as long as this backend is used.
  cuda::DeviceKeys keys(const KvCache& cache, int layer);
  const cuda::Stream& stream() const { return stream_; }
  cuda::Copies& copies() { return copies_; }
  std::size_t multiprocessors() const { return multiprocessors_; }

 private:
  struct Activations;
  const std::byte* resident(const Weight& w);
  const float* vector(const Weight& w);  // as f32; null if absent
  cuda::WeightRows rows_of(const Weight& w);
  DeviceKv& mirror(const KvCache& cache);
  const std::byte* quantise(MatView<const float> x);
  void multiply(const Weight& w, const float* bias, MatView<const float> x,
                const std::byte* quantised, bool add, MatView<float> y);
  bool few(MatView<const float> x) const { return x.rows <= cuda::kGemvTokens; }
  MatView<const float> queue_read(MatView<const float> x);
  void settle_laps();
  float* twin(MatView<const float> x);

  Compute compute_;
  std::size_t multiprocessors_ = 1;
  cuda::Stream stream_;
  cuda::Copies copies_{stream_};
  cuda::Gemm gemm_;
  std::map<const std::byte*, cuda::DeviceBuffer<std::byte>> weights_;  // by their host memory
  std::map<const std::byte*, cuda::DeviceBuffer<float>> vectors_;
  std::map<const float*, Activations*> activations_;  // by their first element
  std::map<const KvCache*, std::unique_ptr<DeviceKv>> mirrors_;
  cuda::DeviceBuffer<std::byte> quantised_;
  cuda::DeviceBuffer<float> gate_, up_;
  cuda::DeviceBuffer<std::int32_t> ids_;
  cuda::DeviceBuffer<std::uint32_t> bad_row_;
  cuda::PinnedBuffer<std::uint32_t> bad_row_host_;
  // cos and sin of the last positions asked for: all layers share them.
  cuda::DeviceBuffer<double> inv_freq_;
  cuda::DeviceBuffer<float> cos_, sin_;
  std::vector<double> angles_inv_freq_;
  float angles_magnitude_ = 0;
  std::int64_t angles_pos_ = -1;
  std::size_t angles_tokens_ = 0;
  // Points in the stream and where the time between two of them goes.
  std::vector<std::unique_ptr<cuda::Event>> clock_;
  std::vector<double*> laps_;
};

// The device memory that a run takes with KV caches of that shape, beside the driver's own: what
// --gpu-memory is compared with. `chunk` rows are prefilled at a time.
std::vector<MemoryNeed> cuda_memory(const Config& config, const Weights& weights,
                                    const KvCache::Shape& cache, std::size_t caches,
                                    std::size_t chunk);

}  // namespace ra::model
