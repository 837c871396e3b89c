// SPDX-License-Identifier: Apache-2.0
#include "tests/support/reference_backend.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "kernels/quant.h"
#include "kernels/types.h"

namespace ra::test {
namespace {

std::vector<float> decoded_row(const model::Weight& w, std::size_t row) {
  std::vector<float> out(w.cols);
  kernels::quant_info(w.type).decode(w.data + row * w.row_bytes, out.data(), w.cols);
  return out;
}

}  // namespace

void ReferenceBackend::embed(const model::Weight& table, std::span<const std::int32_t> ids,
                             float scale, MatView<float> x) {
  for (std::size_t t = 0; t < ids.size(); ++t)
    std::ranges::transform(decoded_row(table, static_cast<std::size_t>(ids[t])), x.row(t),
                           [&](float v) { return v * scale; });
}

void ReferenceBackend::add(MatView<const float> y, MatView<float> x) {
  for (std::size_t t = 0; t < x.rows; ++t)
    for (std::size_t i = 0; i < x.cols; ++i) x.row(t)[i] += y.row(t)[i];
}

void ReferenceBackend::matmul(MatView<const float> x,
                              std::initializer_list<model::Product> products) {
  for (const auto& [w, bias, y] : products) {
    const std::vector<float> b = bias ? decoded_row(bias, 0) : std::vector<float>(w.rows);
    for (std::size_t t = 0; t < x.rows; ++t) std::copy_n(b.data(), w.rows, y.row(t));
    matmul_add(w, x, y);
  }
}

void ReferenceBackend::matmul_add(const model::Weight& w, MatView<const float> x,
                                  MatView<float> y) {
  for (std::size_t r = 0; r < w.rows; ++r) {
    const std::vector<float> row = decoded_row(w, r);
    for (std::size_t t = 0; t < x.rows; ++t) {
      double sum = y.row(t)[r];
      for (std::size_t i = 0; i < w.cols; ++i)
        sum += static_cast<double>(row[i]) * static_cast<double>(x.row(t)[i]);
      y.row(t)[r] = static_cast<float>(sum);
    }
  }
}

void ReferenceBackend::rms_norm(MatView<const float> x, const model::Weight& gain, float eps,
                                MatView<float> y) {
  const std::vector<float> g = decoded_row(gain, 0);
  for (std::size_t t = 0; t < x.rows; ++t) {
    double squares = 0;
    for (std::size_t i = 0; i < x.cols; ++i)
      squares += std::pow(static_cast<double>(x.row(t)[i]), 2);
    const double scale =
        1 / std::sqrt(squares / static_cast<double>(x.cols) + static_cast<double>(eps));
    for (std::size_t i = 0; i < x.cols; ++i)
      y.row(t)[i] =
          static_cast<float>(static_cast<double>(x.row(t)[i]) * scale * static_cast<double>(g[i]));
  }
}

void ReferenceBackend::rope(const model::Rope& rope, std::int64_t pos, MatView<float> x) {
  const std::size_t half = rope.rotary_dims / 2;
  for (std::size_t t = 0; t < x.rows; ++t)
    for (std::size_t head = 0; head < x.cols / rope.head_dim; ++head)
      for (std::size_t i = 0; i < half; ++i) {
        float* v = x.row(t) + head * rope.head_dim;
        float& a = v[rope.interleaved ? 2 * i : i];
        float& b = v[rope.interleaved ? 2 * i + 1 : i + half];
        const double angle =
            static_cast<double>(pos + static_cast<std::int64_t>(t)) * rope.inv_freq[i];
        const double c = std::cos(angle) * static_cast<double>(rope.magnitude);
        const double s = std::sin(angle) * static_cast<double>(rope.magnitude);
        const double u = a, w = b;
        a = static_cast<float>(u * c - w * s);
        b = static_cast<float>(w * c + u * s);
      }
}

void ReferenceBackend::feed_forward(const model::FeedForward& w, MatView<const float> h,
                                    MatView<float> y) {
  const auto silu = [](double g) { return g / (1 + std::exp(-g)); };
  const auto gelu = [](double g) {
    return g / 2 * (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (g + 0.044715 * g * g * g)));
  };
  Matrix<float> gate(h.rows, w.gate.rows), up(h.rows, w.gate.rows);
  matmul(h, {{w.gate, {}, gate.view()}, {w.up, {}, up.view()}});
  for (std::size_t t = 0; t < gate.rows(); ++t)
    for (std::size_t i = 0; i < gate.cols(); ++i) {
      const double g = gate.row(t)[i];
      const double a = w.activation == model::Activation::kSilu ? silu(g) : gelu(g);
      gate.row(t)[i] = static_cast<float>(a * static_cast<double>(up.row(t)[i]));
    }
  if (w.add)
    matmul_add(w.down, gate.view(), y);
  else
    matmul(gate.view(), {{w.down, {}, y}});
}

model::AttendStats ReferenceAttention::attend(const model::AttendInput& in, MatView<float> out) {
  const model::KvCache::Shape& shape = in.cache->shape();
  const auto dim = static_cast<std::size_t>(shape.head_dim);
  const auto value_dim = static_cast<std::size_t>(shape.value_dim);
  const std::size_t heads = in.q.cols / dim;
  const std::size_t group = heads / static_cast<std::size_t>(shape.kv_heads);
  for (std::size_t t = 0; t < in.q.rows; ++t)
    for (std::size_t h = 0; h < heads; ++h) {
      const kernels::KvRows kv = in.cache->rows(in.layer, static_cast<int>(h / group));
      const std::size_t n = static_cast<std::size_t>(in.pos) + t + 1;
      const auto window = static_cast<std::size_t>(in.window);
      const std::size_t first = window > 0 && window < n ? n - window : 0;
      std::vector<double> p(n);
      std::vector<float> row(std::max(dim, value_dim));
      for (std::size_t j = first; j < n; ++j) {
        model::widen_key(kv, j, std::span(row).first(dim));
        for (std::size_t i = 0; i < dim; ++i)
          p[j] += static_cast<double>(in.q.row(t)[h * dim + i]) * static_cast<double>(row[i]);
        p[j] *= static_cast<double>(in.scale);
      }
      const double high =
          *std::max_element(p.begin() + static_cast<std::ptrdiff_t>(first), p.end());
      double sum = 0;
      for (std::size_t j = first; j < n; ++j) sum += p[j] = std::exp(p[j] - high);
      std::vector<double> acc(value_dim, 0.0);
      for (std::size_t j = first; j < n; ++j) {
        model::widen_value(kv, j, std::span(row).first(value_dim));
        for (std::size_t i = 0; i < value_dim; ++i) acc[i] += p[j] * static_cast<double>(row[i]);
      }
      for (std::size_t i = 0; i < value_dim; ++i)
        out.row(t)[h * value_dim + i] = static_cast<float>(acc[i] / sum);
    }
  return {};
}

}  // namespace ra::test
