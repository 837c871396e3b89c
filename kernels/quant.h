// SPDX-License-Identifier: Apache-2.0
// Weight formats of GGUF. One row of kQuants per format is the only registration: enum value, name,
// block shape and decoder; the reader, the loader, gemv/gemm and the typed tests walk this table.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "kernels/level.h"

namespace ra::kernels {

// Values are the GGUF type ids.
enum class Quant : std::uint32_t {
  kF32 = 0, kF16 = 1, kQ4_0 = 2, kQ4_1 = 3, kQ5_0 = 6, kQ5_1 = 7, kQ8_0 = 8,
  kQ2_K = 10, kQ3_K = 11, kQ4_K = 12, kQ5_K = 13, kQ6_K = 14, kBF16 = 30,
};

struct QuantInfo {
  Quant id;
  std::string_view name;     // as GGUF spells it: "Q4_K"
  std::size_t block;         // weights per block
  std::size_t block_bytes;
  // Decodes `n` weights (a multiple of `block`) to f32, bit-exactly as PyPI gguf does.
  void (*decode)(const std::byte* src, float* dst, std::size_t n) noexcept;
  // Index of the first block of `count` whose scale is NaN or infinite, or -1.
  std::ptrdiff_t (*first_bad_block)(const std::byte* src, std::size_t count) noexcept;
};

std::span<const QuantInfo> all_quants();
const QuantInfo* find_quant(std::uint32_t gguf_type_id);  // nullptr if not supported
const QuantInfo& quant_info(Quant id);

// Decodes `n` weights (a multiple of the block) to f32; every level gives the bits of
// QuantInfo::decode.
template <Level L>
void decode_row(Quant type, const std::byte* src, float* dst, std::size_t n) noexcept;

template <>
void decode_row<Level::kScalar>(Quant type, const std::byte* src, float* dst,
                                std::size_t n) noexcept;
template <>
void decode_row<Level::kAvx2>(Quant type, const std::byte* src, float* dst, std::size_t n) noexcept;
template <>
void decode_row<Level::kAvx512>(Quant type, const std::byte* src, float* dst,
                                std::size_t n) noexcept;

}  // namespace ra::kernels
