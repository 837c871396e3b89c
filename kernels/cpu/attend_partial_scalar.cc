// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <cstring>

#include "kernels/attend.h"

namespace ra::kernels {
namespace {

// Element i of a row.
template <class T>
float element(const std::byte* row, std::size_t i, std::size_t /*dim*/) {
  return to_float(reinterpret_cast<const T*>(row)[i]);
}
template <>
float element<std::int8_t>(const std::byte* row, std::size_t i, std::size_t dim) {
  float scale = 0;
  std::memcpy(&scale, row + dim, sizeof scale);
  return static_cast<float>(static_cast<std::int8_t>(row[i])) * scale;
}

// One query row over one key: the online softmax in its plainest form.
template <class T>
void add_key(const float* q, const std::byte* k, const std::byte* v, const PartialArgs& a,
             Partial& out) {
  float dot = 0;
  for (std::size_t i = 0; i < a.kv.head_dim; ++i)
    dot +=
        q[i] * element<T>(k, i, a.kv.head_dim) * (a.kv.k_gain != nullptr ? a.kv.k_gain[i] : 1.0f);
  const float logit = dot * a.scale;
  if (logit > out.max) {
    const float keep = std::exp(out.max - logit);
    for (std::size_t i = 0; i < a.kv.value_dim; ++i) out.acc[i] *= keep;
    out.sum *= keep;
    out.max = logit;
  }
  const float weight = std::exp(logit - out.max);
  for (std::size_t i = 0; i < a.kv.value_dim; ++i)
    out.acc[i] += weight * element<T>(v, i, a.kv.value_dim);
  out.sum += weight;
}

template <class T>
void attend(const PartialArgs& a) {
  const std::size_t k_row = row_bytes(a.kv.type, a.kv.head_dim);
  const std::size_t v_row = row_bytes(a.kv.type, a.kv.value_dim);
  for (std::size_t i = 0; i < a.n; ++i) {
    const std::size_t row = a.ids != nullptr ? a.ids[i] : a.first + i;
    const auto* k = static_cast<const std::byte*>(a.kv.k) + row * k_row;
    const auto* v = static_cast<const std::byte*>(a.kv.v) + row * v_row;
    for (std::size_t g = 0; g < a.group; ++g) add_key<T>(a.q + g * a.q_stride, k, v, a, a.out[g]);
  }
}

}  // namespace

template <>
void attend_partial<Level::kScalar>(const PartialArgs& a) noexcept {
  switch (a.kv.type) {
    case KvType::kF32:
      return attend<float>(a);
    case KvType::kBf16:
      return attend<bf16>(a);
    case KvType::kInt8:
      return attend<std::int8_t>(a);
  }
}

}  // namespace ra::kernels
