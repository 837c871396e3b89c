// SPDX-License-Identifier: Apache-2.0
// Keys and values for tests of kernels that read them.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "kernels/cuda/attend.h"
#include "tests/support/cuda/machine.h"
#include "tests/support/random.h"

namespace ra::testing {

// Keys and values of all KV heads on the host and on the device.
struct HostKeys {
  HostKeys(std::size_t heads, std::size_t capacity, std::size_t head_dim, std::size_t value_dim,
           kernels::KvType type)
      : k(heads * capacity * head_dim),
        v(heads * capacity * value_dim),
        k16(random_bf16(k.size(), 11)),
        v16(random_bf16(v.size(), 12)),
        view{.type = type,
             .kv_heads = heads,
             .capacity = capacity,
             .head_dim = head_dim,
             .value_dim = value_dim} {
    for (std::size_t i = 0; i < k.size(); ++i) k[i] = to_float(k16[i]);
    for (std::size_t i = 0; i < v.size(); ++i) v[i] = to_float(v16[i]);
    upload();
  }
  void upload() {
    if (view.type == kernels::KvType::kF32) {
      dk.emplace(k), dv.emplace(v);
      view.k = dk->data(), view.v = dv->data();
    } else {
      dk16.emplace(k16), dv16.emplace(v16);
      view.k = dk16->data(), view.v = dv16->data();
    }
  }
  kernels::KvRows rows(std::size_t head) const {
    return {.k = k.data() + head * view.capacity * view.head_dim,
            .v = v.data() + head * view.capacity * view.value_dim,
            .type = kernels::KvType::kF32,
            .head_dim = view.head_dim,
            .value_dim = view.value_dim};
  }
  std::vector<float> k, v;
  std::vector<bf16> k16, v16;
  cuda::DeviceKeys view;
  std::optional<OnDevice<float>> dk, dv;
  std::optional<OnDevice<bf16>> dk16, dv16;
};

}  // namespace ra::testing
