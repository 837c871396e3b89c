// SPDX-License-Identifier: Apache-2.0
// A tiny model on the CPU backend with everything that a prefill and decode steps need.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lib/model/cpu_backend.h"
#include "lib/model/decoder.h"
#include "lib/model/exact_attention.h"
#include "lib/model/load.h"
#include "tests/support/fake_gguf.h"

namespace ra::test {

// Any tokens of the tiny vocabulary do.
inline std::vector<std::int32_t> tiny_ids(std::size_t n) {
  std::vector<std::int32_t> ids(n);
  for (std::size_t i = 0; i < n; ++i) ids[i] = static_cast<std::int32_t>((3 + 7 * i) % 288);
  return ids;
}

struct TinyRun {
  TinyRun(const FakeGguf& file, model::KvType type, std::int64_t capacity, std::size_t chunk = 16)
      : m(model::load(file)),
        cache({m.config.n_layers, m.config.n_kv_heads, m.config.head_dim, m.config.value_dim,
               capacity, type}),
        decoder(m, backend, cache, attention, {.chunk = chunk}) {}

  // Logits of the last of these tokens, one decode step each.
  std::vector<float> steps(const std::vector<std::int32_t>& ids, std::size_t first) {
    std::vector<float> out;
    for (std::size_t i = first; i < ids.size(); ++i) {
      const auto logits = decoder.step(ids[i]);
      out.assign(logits.begin(), logits.end());
    }
    return out;
  }

  model::Model m;
  model::CpuBackend backend;
  model::ExactAttention attention;
  model::KvCache cache;
  model::Decoder decoder;
};

}  // namespace ra::test
