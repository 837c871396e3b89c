// SPDX-License-Identifier: Apache-2.0
// The GGUF weight formats as a device reads them: eight weights (an octet) at a time, as signed
// bytes in two words for integer products, with
//   weight = scale * q - min
// where scale and min are those of the 16 weights around it. kernels/cpu/formats.h says how blocks
// are stored; the letters are the same here. Words are read as wide as the block's alignment
// allows.
#pragma once

#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

#include "kernels/quant.h"
#include "kernels/types.h"

namespace ra::cuda {

using kernels::Quant;

constexpr unsigned kOctet = 8;  // weights

struct Octet {
  std::uint32_t words[2];  // weights 0-3 and 4-7
};

struct Affine {
  float scale, min;
};

__device__ __forceinline__ std::uint32_t load16(const std::uint8_t* p) {
  return *reinterpret_cast<const std::uint16_t*>(p);
}
__device__ __forceinline__ std::uint32_t load32(const std::uint8_t* p) {  // p a multiple of 4
  return *reinterpret_cast<const std::uint32_t*>(p);
}
__device__ __forceinline__ std::uint32_t load32_by_16(const std::uint8_t* p) {
  return load16(p) | load16(p + 2) << 16;
}
__device__ __forceinline__ float load_half(const std::uint8_t* p) {
  return __half2float(__ushort_as_half(static_cast<unsigned short>(load16(p))));
}

// Each byte of `bytes` (below 128) less `by`.
__device__ __forceinline__ std::uint32_t subtract_bytes(std::uint32_t bytes, std::uint32_t by) {
  return ((bytes | 0x80808080u) - by * 0x01010101u) ^ 0x80808080u;
}
// The four low bits of `bits` as the lowest bits of four bytes.
__device__ __forceinline__ std::uint32_t spread_bits(std::uint32_t bits) {
  return (bits & 15u) * 0x00204081u & 0x01010101u;
}

// Members of a format F: kId, kBlock (weights), kBytes;
//   octet(p, sub, o)      weights 32 * sub + 8 * o .. + 7 of the block at p
//   affine(p, sub, half)  of weights 32 * sub + 16 * half .. + 15

// Nibbles of 32 weights in 16 bytes: weight i in the low half of byte i, i + 16 in the high half.
template <bool words_are_aligned>
__device__ __forceinline__ Octet split_nibbles(const std::uint8_t* nibbles, unsigned o) {
  const std::uint8_t* p = nibbles + 8 * (o & 1);
  const unsigned shift = 4 * (o >> 1);
  Octet out;
  for (unsigned i = 0; i < 2; ++i) {
    const std::uint32_t w = words_are_aligned ? load32(p + 4 * i) : load32_by_16(p + 4 * i);
    out.words[i] = w >> shift & 0x0f0f0f0fu;
  }
  return out;
}

// Blocks that begin with their scale, and those where the least weight follows it.
struct OneScale {
  static __device__ __forceinline__ Affine affine(const std::uint8_t* p, unsigned, unsigned) {
    return {load_half(p), 0.0f};
  }
};
struct ScaleAndLeast {
  static __device__ __forceinline__ Affine affine(const std::uint8_t* p, unsigned, unsigned) {
    return {load_half(p), -load_half(p + 2)};
  }
};

struct Q4_0 : OneScale {
  static constexpr Quant kId = Quant::kQ4_0;
  static constexpr unsigned kBlock = 32, kBytes = 18;
  static __device__ __forceinline__ Octet octet(const std::uint8_t* p, unsigned, unsigned o) {
    Octet q = split_nibbles<false>(p + 2, o);
    for (std::uint32_t& w : q.words) w = subtract_bytes(w, 8);
    return q;
  }
};

struct Q4_1 : ScaleAndLeast {
  static constexpr Quant kId = Quant::kQ4_1;
  static constexpr unsigned kBlock = 32, kBytes = 20;
  static __device__ __forceinline__ Octet octet(const std::uint8_t* p, unsigned, unsigned o) {
    return split_nibbles<true>(p + 4, o);
  }
};

struct Q5_0 : OneScale {
  static constexpr Quant kId = Quant::kQ5_0;
  static constexpr unsigned kBlock = 32, kBytes = 22;
  static __device__ __forceinline__ Octet octet(const std::uint8_t* p, unsigned, unsigned o) {
    Octet q = split_nibbles<false>(p + 6, o);
    const std::uint32_t high = load32_by_16(p + 2) >> (8 * o);
    for (unsigned i = 0; i < 2; ++i)
      q.words[i] = subtract_bytes(q.words[i] | spread_bits(high >> (4 * i)) << 4, 16);
    return q;
  }
};

struct Q5_1 : ScaleAndLeast {
  static constexpr Quant kId = Quant::kQ5_1;
  static constexpr unsigned kBlock = 32, kBytes = 24;
  static __device__ __forceinline__ Octet octet(const std::uint8_t* p, unsigned, unsigned o) {
    Octet q = split_nibbles<true>(p + 8, o);
    const std::uint32_t high = load32(p + 4) >> (8 * o);
    for (unsigned i = 0; i < 2; ++i) q.words[i] |= spread_bits(high >> (4 * i)) << 4;
    return q;
  }
};

struct Q8_0 : OneScale {
  static constexpr Quant kId = Quant::kQ8_0;
  static constexpr unsigned kBlock = 32, kBytes = 34;
  static __device__ __forceinline__ Octet octet(const std::uint8_t* p, unsigned, unsigned o) {
    return {{load32_by_16(p + 2 + 8 * o), load32_by_16(p + 6 + 8 * o)}};
  }
};

struct Q2_K {
  static constexpr Quant kId = Quant::kQ2_K;
  static constexpr unsigned kBlock = 256, kBytes = 84;
  static __device__ __forceinline__ Octet octet(const std::uint8_t* p, unsigned sub, unsigned o) {
    const std::uint8_t* qs = p + 16 + sub / 4 * 32 + 8 * o;
    const unsigned shift = sub % 4 * 2;
    return {{load32(qs) >> shift & 0x03030303u, load32(qs + 4) >> shift & 0x03030303u}};
  }
  static __device__ __forceinline__ Affine affine(const std::uint8_t* p, unsigned sub,
                                                  unsigned half) {
    const unsigned packed = p[2 * sub + half];
    return {load_half(p + 80) * static_cast<float>(packed & 15),
            load_half(p + 82) * static_cast<float>(packed >> 4)};
  }
};

struct Q3_K {
  static constexpr Quant kId = Quant::kQ3_K;
  static constexpr unsigned kBlock = 256, kBytes = 110;
  static __device__ __forceinline__ Octet octet(const std::uint8_t* p, unsigned sub, unsigned o) {
    const std::uint8_t *qs = p + 32 + sub / 4 * 32 + 8 * o, *high = p + 8 * o;
    const unsigned shift = sub % 4 * 2;
    Octet q;
    for (unsigned i = 0; i < 2; ++i) {
      const std::uint32_t low = load32_by_16(qs + 4 * i) >> shift & 0x03030303u;
      const std::uint32_t bit = load32_by_16(high + 4 * i) >> sub & 0x01010101u;
      q.words[i] = subtract_bytes(low | bit << 2, 4);
    }
    return q;
  }
  static __device__ __forceinline__ Affine affine(const std::uint8_t* p, unsigned sub,
                                                  unsigned half) {
    const std::uint8_t* packed = p + 96;
    const unsigned j = 2 * sub + half;
    const unsigned low = j < 8 ? packed[j] & 15u : packed[j - 8] >> 4;
    const int scale = static_cast<int>(low | (packed[8 + j % 4] >> (j / 4 * 2) & 3u) << 4);
    return {load_half(p + 108) * static_cast<float>(scale - 32), 0.0f};
  }
};

// Six-bit scale and min of sub-block `sub` of a Q4_K or Q5_K block, times its two f16 numbers.
__device__ __forceinline__ Affine affine_k4(const std::uint8_t* p, unsigned sub) {
  const std::uint8_t* packed = p + 4;
  unsigned scale = 0, min = 0;
  if (sub < 4) {
    scale = packed[sub] & 63u;
    min = packed[4 + sub] & 63u;
  } else {
    scale = (packed[4 + sub] & 15u) | (packed[sub - 4] >> 6) << 4;
    min = packed[4 + sub] >> 4 | (packed[sub] >> 6) << 4;
  }
  return {load_half(p) * static_cast<float>(scale), load_half(p + 2) * static_cast<float>(min)};
}

struct Q4_K {
  static constexpr Quant kId = Quant::kQ4_K;
  static constexpr unsigned kBlock = 256, kBytes = 144;
  static __device__ __forceinline__ Octet octet(const std::uint8_t* p, unsigned sub, unsigned o) {
    const auto qs = *reinterpret_cast<const uint2*>(p + 16 + sub / 2 * 32 + 8 * o);
    const unsigned shift = sub % 2 * 4;
    return {{qs.x >> shift & 0x0f0f0f0fu, qs.y >> shift & 0x0f0f0f0fu}};
  }
  static __device__ __forceinline__ Affine affine(const std::uint8_t* p, unsigned sub, unsigned) {
    return affine_k4(p, sub);
  }
};

struct Q5_K {
  static constexpr Quant kId = Quant::kQ5_K;
  static constexpr unsigned kBlock = 256, kBytes = 176;
  static __device__ __forceinline__ Octet octet(const std::uint8_t* p, unsigned sub, unsigned o) {
    const auto qs = *reinterpret_cast<const uint2*>(p + 48 + sub / 2 * 32 + 8 * o);
    const auto high = *reinterpret_cast<const uint2*>(p + 16 + 8 * o);
    const unsigned shift = sub % 2 * 4;
    return {{(qs.x >> shift & 0x0f0f0f0fu) | (high.x >> sub & 0x01010101u) << 4,
             (qs.y >> shift & 0x0f0f0f0fu) | (high.y >> sub & 0x01010101u) << 4}};
  }
  static __device__ __forceinline__ Affine affine(const std::uint8_t* p, unsigned sub, unsigned) {
    return affine_k4(p, sub);
  }
};

struct Q6_K {
  static constexpr Quant kId = Quant::kQ6_K;
  static constexpr unsigned kBlock = 256, kBytes = 210;
  static __device__ __forceinline__ Octet octet(const std::uint8_t* p, unsigned sub, unsigned o) {
    const unsigned half = sub / 4, part = sub % 4;
    const std::uint8_t *low = p + half * 64 + part % 2 * 32 + 8 * o,
                       *high = p + 128 + half * 32 + 8 * o;
    Octet q;
    for (unsigned i = 0; i < 2; ++i) {
      const std::uint32_t nibble = load32_by_16(low + 4 * i) >> (part / 2 * 4) & 0x0f0f0f0fu;
      const std::uint32_t pair = load32_by_16(high + 4 * i) >> (part * 2) & 0x03030303u;
      q.words[i] = subtract_bytes(nibble | pair << 4, 32);
    }
    return q;
  }
  static __device__ __forceinline__ Affine affine(const std::uint8_t* p, unsigned sub,
                                                  unsigned half) {
    const auto scale = static_cast<std::int8_t>(p[192 + 2 * sub + half]);
    return {load_half(p + 208) * static_cast<float>(scale), 0.0f};
  }
};

// The formats without blocks: decode(p) is the weight at p.
struct F32 {
  static constexpr Quant kId = Quant::kF32;
  static constexpr unsigned kBytes = 4;
  static __device__ __forceinline__ float decode(const std::uint8_t* p) {
    return __uint_as_float(load32(p));
  }
};
struct F16 {
  static constexpr Quant kId = Quant::kF16;
  static constexpr unsigned kBytes = 2;
  static __device__ __forceinline__ float decode(const std::uint8_t* p) { return load_half(p); }
};
struct BF16 {
  static constexpr Quant kId = Quant::kBF16;
  static constexpr unsigned kBytes = 2;
  static __device__ __forceinline__ float decode(const std::uint8_t* p) {
    return __uint_as_float(load16(p) << 16);
  }
};

template <class... F>
struct FormatList {};
using BlockFormats = FormatList<Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K>;
using FloatFormats = FormatList<F32, F16, BF16>;

// Calls visit.template operator()<F>() for the format F of that id in the list; false if none is.
template <class Visitor, class... F>
bool visit_format(Quant id, Visitor&& visit, FormatList<F...>) {
  return ((F::kId == id && (visit.template operator()<F>(), true)) || ...);
}

// Eight weights from column 8 * o on of a row of `cols`, zeros past its end.
template <class F>
__device__ __forceinline__ void decode_octet(const std::uint8_t* row, unsigned o, std::size_t cols,
                                             float (&out)[kOctet]) {
  if constexpr (requires { F::kBlock; }) {
    const unsigned block = o * kOctet / F::kBlock, sub = o * kOctet % F::kBlock / 32;
    const std::uint8_t* p = row + std::size_t{block} * F::kBytes;
    const Octet q = F::octet(p, sub, o % 4);
    const Affine a = F::affine(p, sub, o % 4 / 2);
    for (unsigned i = 0; i < kOctet; ++i) {
      const auto weight = static_cast<std::int8_t>(q.words[i / 4] >> (i % 4 * 8));
      // Rounded as on the CPU: the product, then the difference.
      out[i] = __fsub_rn(__fmul_rn(a.scale, static_cast<float>(weight)), a.min);
    }
  } else {
    for (unsigned i = 0; i < kOctet; ++i) {
      const std::size_t col = std::size_t{o} * kOctet + i;
      out[i] = col < cols ? F::decode(row + col * F::kBytes) : 0.0f;
    }
  }
}

}  // namespace ra::cuda
