// SPDX-License-Identifier: Apache-2.0
// Seeded test data.
#pragma once

#include <cstddef>
#include <vector>

#include "kernels/types.h"
#include "lib/core/matrix.h"
#include "lib/core/rng.h"

namespace ra::testing {

// n values of a normal distribution; the same for the same seed.
inline std::vector<float> random_floats(std::size_t n, std::uint64_t seed, float scale = 1) {
  Rng rng(seed);
  std::vector<float> out(n);
  for (float& v : out) v = scale * static_cast<float>(rng.normal());
  return out;
}

inline Matrix<float> random_matrix(std::size_t rows, std::size_t cols, std::uint64_t seed) {
  Matrix<float> m(rows, cols);
  Rng rng(seed);
  for (std::size_t i = 0; i < rows * cols; ++i) m.data()[i] = static_cast<float>(rng.normal());
  return m;
}

inline std::vector<bf16> random_bf16(std::size_t n, std::uint64_t seed) {
  std::vector<bf16> out;
  out.reserve(n);
  for (const float v : random_floats(n, seed)) out.push_back(to_bf16(v));
  return out;
}

inline std::vector<std::byte> random_bytes(std::size_t n, std::uint64_t seed) {
  Rng rng(seed);
  std::vector<std::byte> out(n);
  for (std::byte& v : out) v = static_cast<std::byte>(rng.below(256));
  return out;
}

}  // namespace ra::testing
