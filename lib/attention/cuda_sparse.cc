// SPDX-License-Identifier: Apache-2.0
#include "lib/attention/cuda_sparse.h"

#include <algorithm>
#include <utility>

#include "lib/model/cuda_errors.h"

namespace ra::attention {
namespace {

std::size_t size(auto n) { return static_cast<std::size_t>(n); }

}  // namespace

CudaSparse::CudaSparse(model::CudaBackend& backend, std::unique_ptr<SparseAttention> sparse)
    : backend_(backend), sparse_(std::move(sparse)), exact_(backend), decode_(backend) {
  sparse_->set_static_source(this);
}

model::AttendStats CudaSparse::attend(const model::AttendInput& in, MatView<float> out) {
  if (in.q.rows > 1 || in.window > 0) return exact_.attend(in, out);
  if (out_.rows() != 1 || out_.cols() != out.cols) out_ = Matrix<float>(1, out.cols);
  queries_ = in.q;
  model::AttendInput host = in;
  host.q = backend_.on_host(in.q);
  const model::AttendStats stats = sparse_->attend(host, out_.view());
  backend_.from_host(out_.view(), out);
  return stats;
}

void CudaSparse::start(const model::AttendInput& in, std::int64_t sink, std::int64_t window) {
  const cuda::KeyRange keys[2] = {{0, size(sink)}, {size(window), size(in.pos + 1 - window)}};
  const model::KvCache::Shape& s = in.cache->shape();
  value_dim_ = size(s.value_dim);
  const std::size_t floats = in.q.cols / size(s.head_dim) * (2 + value_dim_);
  model::AttendInput device = in;
  device.q = queries_;
  model::on_device([&] {
    partials_.reserve_discard(floats);
    begun_.record(backend_.stream());
    const cuda::DevicePartials parts = decode_.partials(device, keys);
    backend_.copies().to_host(partials_.data(), parts.max, floats);
    done_.record(backend_.stream());
  });
}

double CudaSparse::finish(std::span<kernels::Partial> heads) {
  model::on_device([&] { done_.wait(); });
  const std::size_t n = heads.size();
  for (std::size_t h = 0; h < n; ++h) {
    heads[h].max = partials_.data()[h];
    heads[h].sum = partials_.data()[n + h];
    std::copy_n(partials_.data() + 2 * n + h * value_dim_, value_dim_, heads[h].acc);
  }
  return model::on_device([&] { return done_.ms_since(begun_); });
}

}  // namespace ra::attention
