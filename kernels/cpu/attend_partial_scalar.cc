// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "kernels/attend.h"

namespace ra::kernels {
namespace {

// One query row over one key: the online softmax in its plainest form.
template <class T>
void add_key(const float* q, const T* k, const T* v, const PartialArgs& a, Partial& out) {
  float dot = 0;
  for (std::size_t i = 0; i < a.kv.head_dim; ++i) dot += q[i] * to_float(k[i]);
  const float logit = dot * a.scale;
  if (logit > out.max) {
    const float keep = std::exp(out.max - logit);
    for (std::size_t i = 0; i < a.kv.value_dim; ++i) out.acc[i] *= keep;
    out.sum *= keep;
    out.max = logit;
  }
  const float weight = std::exp(logit - out.max);
  for (std::size_t i = 0; i < a.kv.value_dim; ++i) out.acc[i] += weight * to_float(v[i]);
  out.sum += weight;
}

template <class T>
void attend(const PartialArgs& a) {
  for (std::size_t i = 0; i < a.n; ++i) {
    const std::size_t row = a.ids != nullptr ? a.ids[i] : a.first + i;
    const T* k = static_cast<const T*>(a.kv.k) + row * a.kv.head_dim;
    const T* v = static_cast<const T*>(a.kv.v) + row * a.kv.value_dim;
    for (std::size_t g = 0; g < a.group; ++g) add_key(a.q + g * a.q_stride, k, v, a, a.out[g]);
  }
}

}  // namespace

template <>
void attend_partial<Level::kScalar>(const PartialArgs& a) noexcept {
  if (a.kv.type == KvType::kF32) {
    attend<float>(a);
  } else {
    attend<bf16>(a);
  }
}

}  // namespace ra::kernels
