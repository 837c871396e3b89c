// SPDX-License-Identifier: Apache-2.0
#include "lib/model/cuda_backend.h"

#include <algorithm>
#include <utility>

#include "kernels/cuda/decode_rows.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/elementwise.h"
#include "kernels/cuda/norm.h"
#include "kernels/cuda/rope.h"
#include "kernels/gemv.h"
#include "kernels/ops.h"
#include "lib/core/error.h"
#include "lib/model/cost.h"
#include "lib/model/cuda_errors.h"

namespace ra::model {
namespace {

// Before the members that are made on it.
std::size_t select_device(int number) {
  cuda::select(number);
  return cuda::multiprocessors(number);
}

bool is_quantised(const Weight& w) { return kernels::quant_info(w.type).block > 1; }

}  // namespace

// Memory of a buffer of activations, and where the host reads and writes it: the same place in
// page-locked memory.
struct CudaBackend::Activations {
  Activations(CudaBackend& owner, std::size_t n) : backend(owner), device(n), twin(n) {
    backend.activations_[device.data()] = this;
  }
  ~Activations() { backend.activations_.erase(device.data()); }
  CudaBackend& backend;
  cuda::DeviceBuffer<float> device;
  cuda::PinnedBuffer<float> twin;
};

CudaBackend::CudaBackend(int device, Compute compute) try
    : compute_(compute),
      multiprocessors_(select_device(device)),
      gemm_(stream_.get()),
      bad_row_(1),
      bad_row_host_(1) {
} catch (const cuda::DeviceError& e) {
  fail_device(e);
}

std::shared_ptr<float> CudaBackend::allocate(std::size_t n) {
  return on_device([&]() -> std::shared_ptr<float> {
    auto memory = std::make_shared<Activations>(*this, n);
    return {memory, memory->device.data()};
  });
}

float* CudaBackend::twin(MatView<const float> x) {
  auto it = activations_.upper_bound(x.data);
  RA_CHECK(it != activations_.begin());
  --it;
  const auto offset = static_cast<std::size_t>(x.data - it->first);
  RA_CHECK(x.rows == 0 || offset + (x.rows - 1) * x.stride + x.cols <= it->second->twin.size());
  return it->second->twin.data() + offset;
}

// Queues the copy of x to its place on the host.
MatView<const float> CudaBackend::queue_read(MatView<const float> x) {
  float* host = twin(x);
  if (x.rows > 0) copies_.to_host(host, x.data, (x.rows - 1) * x.stride + x.cols);
  return {host, x.rows, x.cols, x.stride};
}

MatView<const float> CudaBackend::on_host(MatView<const float> x) {
  return on_device([&] {
    const MatView<const float> host = queue_read(x);
    stream_.synchronise();
    return host;
  });
}

void CudaBackend::from_host(MatView<const float> rows, MatView<float> x) {
  RA_CHECK(rows.rows == x.rows && rows.cols == x.cols && x.stride == x.cols);
  on_device([&] {
    float* host = twin(x);
    // A copy of the last rows that were put here may still be under way.
    stream_.synchronise();
    for (std::size_t r = 0; r < x.rows; ++r) std::copy_n(rows.row(r), x.cols, host + r * x.stride);
    copies_.to_device(x.data, host, x.rows * x.cols);
  });
}

std::optional<std::size_t> CudaBackend::first_bad_row(MatView<const float> x) {
  return on_device([&]() -> std::optional<std::size_t> {
    cuda::check(cudaMemsetAsync(bad_row_.data(), 0xff, sizeof(std::uint32_t), stream_.get()),
                "memset");
    cuda::first_bad_row(stream_.get(), {x.data, x.stride, x.rows, x.cols, bad_row_.data()});
    copies_.to_host(bad_row_host_.data(), bad_row_.data(), 1);
    stream_.synchronise();
    settle_laps();
    const std::uint32_t row = *bad_row_host_.data();
    return row < x.rows ? std::optional<std::size_t>(row) : std::nullopt;
  });
}

void CudaBackend::start_clock() {
  laps_.clear();
  lap(nullptr);
}

void CudaBackend::lap(double* ms) {
  on_device([&] {
    const std::size_t i = laps_.size();
    if (clock_.size() <= i) clock_.push_back(std::make_unique<cuda::Event>());
    clock_[i]->record(stream_);
    laps_.push_back(ms);
  });
}

kernels::Transfers CudaBackend::transfers() {
  return on_device([&] { return copies_.total(); });
}

void CudaBackend::settle_laps() {
  for (std::size_t i = 1; i < laps_.size(); ++i) {
    if (laps_[i] == nullptr) continue;
    clock_[i]->wait();
    *laps_[i] += clock_[i]->ms_since(*clock_[i - 1]);
  }
  laps_.clear();
}

DeviceKv& CudaBackend::mirror(const KvCache& cache) {
  auto& mirror = mirrors_[&cache];
  if (!mirror) mirror = std::make_unique<DeviceKv>(cache.shape());
  return *mirror;
}

cuda::DeviceKeys CudaBackend::keys(const KvCache& cache, int layer) {
  return on_device([&] { return mirror(cache).keys(copies_, cache, layer); });
}

void CudaBackend::append(KvCache& cache, int layer, MatView<const float> k,
                         MatView<const float> v) {
  const auto [host_k, host_v] = on_device([&] {
    mirror(cache).append(copies_, cache, layer, k, v);
    const std::pair host(queue_read(k), queue_read(v));
    stream_.synchronise();
    return host;
  });
  cache.append(layer, host_k, host_v);
}

void CudaBackend::prepare(const Weights& weights) {
  on_device([&] {
    resident(weights.token_embd);
    resident(weights.output);
    for (const LayerWeights& layer : weights.layers)
      for (const Weight* w : layer.matrices()) resident(*w);
  });
}

const std::byte* CudaBackend::resident(const Weight& w) {
  auto& buffer = weights_[w.data];
  const std::size_t bytes = w.rows * w.row_bytes;
  if (buffer.size() < bytes) {
    buffer.reserve_discard(bytes);
    copies_.to_device(buffer.data(), w.data, bytes);
    stream_.synchronise();
  }
  return buffer.data();
}

const float* CudaBackend::vector(const Weight& w) {
  if (!w) return nullptr;
  auto& buffer = vectors_[w.data];
  if (buffer.size() < w.cols) {
    std::vector<float> values(w.cols);
    kernels::ops().decode_row(w.type, w.data, values.data(), w.cols);
    buffer.reserve_discard(w.cols);
    copies_.to_device(buffer.data(), values.data(), w.cols);
    stream_.synchronise();
  }
  return buffer.data();
}

cuda::WeightRows CudaBackend::rows_of(const Weight& w) {
  return {w.type, resident(w), w.rows, w.cols, w.row_bytes};
}

void CudaBackend::embed(const Weight& table, std::span<const std::int32_t> ids, float scale,
                        MatView<float> x) {
  for (const std::int32_t id : ids) RA_CHECK(id >= 0 && static_cast<std::size_t>(id) < table.rows);
  on_device([&] {
    stream_.synchronise();  // the last ids have been used
    ids_.reserve_discard(ids.size());
    copies_.to_device(ids_.data(), ids.data(), ids.size());
    cuda::decode_rows(stream_.get(), cuda::DecodeRowsArgs<float>{.w = rows_of(table),
                                                                 .ids = ids_.data(),
                                                                 .count = ids.size(),
                                                                 .scale = scale,
                                                                 .out = x.data,
                                                                 .out_stride = x.stride});
    stream_.synchronise();  // the ids are the caller's
  });
}

const std::byte* CudaBackend::quantise(MatView<const float> x) {
  quantised_.reserve_discard(cuda::kGemvTokens * kernels::quantized_row_bytes(x.cols));
  cuda::quantize_rows(stream_.get(), {x.data, x.stride, x.rows, x.cols, quantised_.data()});
  return quantised_.data();
}

void CudaBackend::multiply(const Weight& w, const float* bias, MatView<const float> x,
                           const std::byte* quantised, bool add, MatView<float> y) {
  RA_CHECK(x.cols == w.cols && y.cols == w.rows && x.rows == y.rows);
  if (few(x)) {
    cuda::gemv(stream_.get(), {.w = rows_of(w),
                               .x = x.data,
                               .x_stride = x.stride,
                               .tokens = x.rows,
                               .quantized = quantised,
                               .bias = bias,
                               .add = add,
                               .y = y.data,
                               .y_stride = y.stride});
    return;
  }
  gemm_.multiply({.w = rows_of(w),
                  .x = x.data,
                  .x_stride = x.stride,
                  .tokens = x.rows,
                  .add = add,
                  .exact_f32 = compute_ == Compute::kF32,
                  .y = y.data,
                  .y_stride = y.stride});
  if (bias != nullptr)
    cuda::add(stream_.get(), {bias, 0, y.data, y.stride, y.rows, y.cols, /*add=*/true});
}

void CudaBackend::matmul(MatView<const float> x, std::initializer_list<Product> products) {
  on_device([&] {
    const bool integers =
        few(x) && compute_ == Compute::kAuto &&
        std::ranges::any_of(products, [](const Product& p) { return is_quantised(p.w); });
    const std::byte* quantised = integers ? quantise(x) : nullptr;
    for (const Product& p : products)
      multiply(p.w, vector(p.bias), x, quantised, /*add=*/false, p.y);
  });
}

void CudaBackend::matmul_add(const Weight& w, MatView<const float> x, MatView<float> y) {
  on_device([&] {
    const bool integers = few(x) && compute_ == Compute::kAuto && is_quantised(w);
    multiply(w, nullptr, x, integers ? quantise(x) : nullptr, /*add=*/true, y);
  });
}

void CudaBackend::add(MatView<const float> y, MatView<float> x) {
  RA_CHECK(x.rows == y.rows && x.cols == y.cols);
  on_device([&] {
    cuda::add(stream_.get(), {y.data, y.stride, x.data, x.stride, x.rows, x.cols, /*add=*/true});
  });
}

void CudaBackend::rms_norm(MatView<const float> x, const Weight& gain, float eps,
                           MatView<float> y) {
  RA_CHECK(x.cols == gain.cols && x.rows == y.rows && x.cols == y.cols);
  on_device([&] {
    cuda::rms_norm(stream_.get(),
                   {x.data, x.stride, vector(gain), y.data, y.stride, x.rows, x.cols, eps});
  });
}

void CudaBackend::rope(const Rope& rope, std::int64_t pos, MatView<float> x) {
  const std::size_t pairs = rope.rotary_dims / 2;
  RA_CHECK(rope.inv_freq.size() == pairs && x.cols % rope.head_dim == 0);
  on_device([&] {
    if (pos != angles_pos_ || x.rows != angles_tokens_ || rope.magnitude != angles_magnitude_ ||
        !std::ranges::equal(rope.inv_freq, angles_inv_freq_)) {
      stream_.synchronise();
      angles_pos_ = -1;
      angles_inv_freq_.assign(rope.inv_freq.begin(), rope.inv_freq.end());
      inv_freq_.reserve_discard(pairs);
      cos_.reserve_discard(x.rows * pairs);
      sin_.reserve_discard(x.rows * pairs);
      copies_.to_device(inv_freq_.data(), angles_inv_freq_.data(), pairs);
      cuda::rope_angles(stream_.get(), {inv_freq_.data(), pos, x.rows, pairs, rope.magnitude,
                                        cos_.data(), sin_.data()});
      angles_magnitude_ = rope.magnitude;
      angles_pos_ = pos;
      angles_tokens_ = x.rows;
    }
    cuda::rope(stream_.get(), {x.data, x.stride, x.rows, x.cols / rope.head_dim, rope.head_dim,
                               rope.rotary_dims, cos_.data(), sin_.data(), rope.interleaved});
  });
}

void CudaBackend::feed_forward(const FeedForward& w, MatView<const float> h, MatView<float> y) {
  RA_CHECK(w.gate.rows == w.up.rows && w.down.cols == w.gate.rows && y.cols == w.down.rows);
  on_device([&] {
    const std::size_t n = h.rows * w.gate.rows;
    gate_.reserve_discard(n);
    up_.reserve_discard(n);
    const MatView<float> gate(gate_.data(), h.rows, w.gate.rows),
        up(up_.data(), h.rows, w.gate.rows);
    matmul(h, {{w.gate, {}, gate}, {w.up, {}, up}});
    cuda::gate(stream_.get(), {up.data, gate.data, n, w.activation});
    if (w.add)
      matmul_add(w.down, gate, y);
    else
      matmul(gate, {{w.down, {}, y}});
  });
}

std::vector<MemoryNeed> cuda_memory(const Config& c, const Weights& weights,
                                    const KvCache::Shape& cache, std::size_t caches,
                                    std::size_t chunk) {
  const auto u64 = [](auto n) { return static_cast<std::uint64_t>(n); };
  const std::uint64_t widest = u64(std::max({c.dim, c.ffn_dim, c.n_heads * c.head_dim}));
  const std::uint64_t row = u64(2 * c.dim) + u64(c.n_heads) * u64(c.head_dim + c.value_dim) +
                            u64(c.n_kv_heads) * u64(c.head_dim + c.value_dim) + 2 * u64(c.ffn_dim) +
                            widest;
  const Weight& table = weights.token_embd;
  const std::uint64_t own_table =
      table.data == weights.output.data ? 0 : u64(table.rows) * u64(table.row_bytes);
  return {
      {"weights", weight_bytes(weights) + own_table},
      {"KV cache", u64(caches) * DeviceKv::bytes(cache)},
      {"matrix products", cuda::Gemm::kWorkspaceBytes + cuda::Gemm::kPanelBytes},
      {"activations", u64(chunk + 1) * row * sizeof(float) +
                          std::max<std::uint64_t>(64, caches) * u64(c.vocab_size) * sizeof(float)}};
}

}  // namespace ra::model
