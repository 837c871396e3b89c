// SPDX-License-Identifier: Apache-2.0
#include "kernels/quant.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdlib>

#include "kernels/cpu/formats.h"

namespace ra::kernels {
namespace {

const std::uint8_t* bytes(const std::byte* p) { return reinterpret_cast<const std::uint8_t*>(p); }

struct F32 {
  static constexpr Quant kId = Quant::kF32;
  static constexpr std::string_view kName = "F32";
  static constexpr std::size_t kBlock = 1, kBytes = 4;
  static float decode(const std::uint8_t* p) {
    float v = 0;
    std::memcpy(&v, p, sizeof v);
    return v;
  }
};

struct F16 {
  static constexpr Quant kId = Quant::kF16;
  static constexpr std::string_view kName = "F16";
  static constexpr std::size_t kBlock = 1, kBytes = 2;
  static float decode(const std::uint8_t* p) { return half_to_float(p); }
};

struct BF16 {
  static constexpr Quant kId = Quant::kBF16;
  static constexpr std::string_view kName = "BF16";
  static constexpr std::size_t kBlock = 1, kBytes = 2;
  static float decode(const std::uint8_t* p) {
    return to_float(bf16{static_cast<std::uint16_t>(p[0] | p[1] << 8)});
  }
};

template <class F>
void decode_floats(const std::byte* src, float* dst, std::size_t n) noexcept {
  for (std::size_t i = 0; i < n; ++i) dst[i] = F::decode(bytes(src) + i * F::kBytes);
}

template <class F>
void decode_blocks(const std::byte* src, float* dst, std::size_t n) noexcept {
  Unpacked u;
  for (std::size_t i = 0; i < n; i += 32) {
    F::unpack(bytes(src) + i / F::kBlock * F::kBytes, i % F::kBlock / 32, u);
    for (std::size_t j = 0; j < 32; ++j)
      dst[i + j] = u.scale[j / 16] * static_cast<float>(u.q[j]) - u.min[j / 16];
  }
}

// A block is bad if it cannot be decoded to finite weights.
template <class F>
std::ptrdiff_t first_bad_float(const std::byte* src, std::size_t count) noexcept {
  for (std::size_t i = 0; i < count; ++i)
    if (!std::isfinite(F::decode(bytes(src) + i * F::kBytes)))
      return static_cast<std::ptrdiff_t>(i);
  return -1;
}

template <class F>
std::ptrdiff_t first_bad_scale(const std::byte* src, std::size_t count) noexcept {
  for (std::size_t i = 0; i < count; ++i)
    for (const std::size_t offset : F::kHalves)
      if (!half_is_finite(bytes(src) + i * F::kBytes + offset))
        return static_cast<std::ptrdiff_t>(i);
  return -1;
}

template <class F>
constexpr QuantInfo float_row() {
  return {F::kId, F::kName, F::kBlock, F::kBytes, decode_floats<F>, first_bad_float<F>};
}

template <class F>
constexpr QuantInfo block_row() {
  return {F::kId, F::kName, F::kBlock, F::kBytes, decode_blocks<F>, first_bad_scale<F>};
}

template <class... F>
constexpr auto make_rows(FormatList<F...>) {
  return std::array{float_row<F32>(), float_row<F16>(), float_row<BF16>(), block_row<F>()...};
}

constexpr auto kQuants = make_rows(BlockFormats{});

}  // namespace

std::span<const QuantInfo> all_quants() { return kQuants; }

const QuantInfo* find_quant(std::uint32_t gguf_type_id) {
  const auto it = std::find_if(kQuants.begin(), kQuants.end(), [&](const QuantInfo& q) {
    return static_cast<std::uint32_t>(q.id) == gguf_type_id;
  });
  return it == kQuants.end() ? nullptr : &*it;
}

const QuantInfo& quant_info(Quant id) {
  const QuantInfo* info = find_quant(static_cast<std::uint32_t>(id));
  if (info == nullptr) std::abort();  // not a value of the enumeration
  return *info;
}

template <>
void decode_row<Level::kScalar>(Quant type, const std::byte* src, float* dst,
                                std::size_t n) noexcept {
  quant_info(type).decode(src, dst, n);
}

}  // namespace ra::kernels
