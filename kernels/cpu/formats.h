// SPDX-License-Identifier: Apache-2.0
// The quantised GGUF formats, written for reading: how 32 weights of a block are stored. A weight
// is
//   scale * q - min,   q a small integer, scale and min shared by 16 weights,
// which holds for every format and rounds exactly as PyPI gguf does (x - 0 and x - (-m) are exact
// rewrites of x and x + m). Decoding and the integer inner product both start from here.
// In an anonymous namespace: sources of every level include it.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "kernels/quant.h"
#include "kernels/types.h"

namespace ra::kernels {
namespace {

RA_ALWAYS_INLINE float half_to_float(const std::uint8_t* p) {
  const std::uint32_t h = static_cast<std::uint32_t>(p[0] | p[1] << 8);
  const std::uint32_t sign = (h & 0x8000u) << 16, rest = h & 0x7fffu;
  if (rest >= 0x7c00u) return std::bit_cast<float>(sign | 0x7f800000u | (rest & 0x3ffu) << 13);
  if (rest >= 0x0400u) return std::bit_cast<float>(sign | ((rest << 13) + (112u << 23)));
  return std::bit_cast<float>(sign |
                              std::bit_cast<std::uint32_t>(static_cast<float>(rest) * 0x1p-24f));
}

RA_ALWAYS_INLINE bool half_is_finite(const std::uint8_t* p) { return (p[1] & 0x7cu) != 0x7cu; }

// 32 consecutive weights.
struct Unpacked {
  std::int8_t q[32];
  float scale[2], min[2];  // of weights 0-15 and 16-31
};

// Members of a format F:
//   kId, kName, kBlock (weights), kBytes
//   unpack(p, sub, u)   weights 32 * sub .. 32 * sub + 31 of the block at p
//   kHalves             offsets of the f16 scales in the block

struct Q4_0 {
  static constexpr Quant kId = Quant::kQ4_0;
  static constexpr std::string_view kName = "Q4_0";
  static constexpr std::size_t kBlock = 32, kBytes = 18;  // d, 16 bytes of nibbles
  static constexpr std::size_t kHalves[] = {0};
  static void unpack(const std::uint8_t* p, std::size_t, Unpacked& u) {
    for (int i = 0; i < 16; ++i) {
      u.q[i] = static_cast<std::int8_t>((p[2 + i] & 15) - 8);
      u.q[i + 16] = static_cast<std::int8_t>((p[2 + i] >> 4) - 8);
    }
    u.scale[0] = u.scale[1] = half_to_float(p);
    u.min[0] = u.min[1] = 0;
  }
};

struct Q4_1 {
  static constexpr Quant kId = Quant::kQ4_1;
  static constexpr std::string_view kName = "Q4_1";
  static constexpr std::size_t kBlock = 32, kBytes = 20;  // d, m, 16 bytes of nibbles
  static constexpr std::size_t kHalves[] = {0, 2};
  static void unpack(const std::uint8_t* p, std::size_t, Unpacked& u) {
    for (int i = 0; i < 16; ++i) {
      u.q[i] = static_cast<std::int8_t>(p[4 + i] & 15);
      u.q[i + 16] = static_cast<std::int8_t>(p[4 + i] >> 4);
    }
    u.scale[0] = u.scale[1] = half_to_float(p);
    u.min[0] = u.min[1] = -half_to_float(p + 2);
  }
};

// Bit i of the four bytes at `bits` is bit 4 of weight i; nibbles are the rest.
RA_ALWAYS_INLINE int five_bits(const std::uint8_t* bits, const std::uint8_t* nibbles, int i) {
  const int low = i < 16 ? nibbles[i] & 15 : nibbles[i - 16] >> 4;
  return low | ((bits[i / 8] >> (i % 8)) & 1) << 4;
}

struct Q5_0 {
  static constexpr Quant kId = Quant::kQ5_0;
  static constexpr std::string_view kName = "Q5_0";
  static constexpr std::size_t kBlock = 32, kBytes = 22;  // d, 4 bytes of high bits, 16 of nibbles
  static constexpr std::size_t kHalves[] = {0};
  static void unpack(const std::uint8_t* p, std::size_t, Unpacked& u) {
    for (int i = 0; i < 32; ++i) u.q[i] = static_cast<std::int8_t>(five_bits(p + 2, p + 6, i) - 16);
    u.scale[0] = u.scale[1] = half_to_float(p);
    u.min[0] = u.min[1] = 0;
  }
};

struct Q5_1 {
  static constexpr Quant kId = Quant::kQ5_1;
  static constexpr std::string_view kName = "Q5_1";
  static constexpr std::size_t kBlock = 32,
                               kBytes = 24;  // d, m, 4 bytes of high bits, 16 of nibbles
  static constexpr std::size_t kHalves[] = {0, 2};
  static void unpack(const std::uint8_t* p, std::size_t, Unpacked& u) {
    for (int i = 0; i < 32; ++i) u.q[i] = static_cast<std::int8_t>(five_bits(p + 4, p + 8, i));
    u.scale[0] = u.scale[1] = half_to_float(p);
    u.min[0] = u.min[1] = -half_to_float(p + 2);
  }
};

struct Q8_0 {
  static constexpr Quant kId = Quant::kQ8_0;
  static constexpr std::string_view kName = "Q8_0";
  static constexpr std::size_t kBlock = 32, kBytes = 34;  // d, 32 signed bytes
  static constexpr std::size_t kHalves[] = {0};
  static void unpack(const std::uint8_t* p, std::size_t, Unpacked& u) {
    std::memcpy(u.q, p + 2, 32);
    u.scale[0] = u.scale[1] = half_to_float(p);
    u.min[0] = u.min[1] = 0;
  }
};

// The K formats: blocks of 256 weights in sub-blocks of 16 (Q2, Q3, Q6) or 32 (Q4, Q5), whose
// scales are small integers times one or two f16 numbers of the block.

struct Q2_K {
  static constexpr Quant kId = Quant::kQ2_K;
  static constexpr std::string_view kName = "Q2_K";
  static constexpr std::size_t kBlock = 256, kBytes = 84;
  static constexpr std::size_t kHalves[] = {80, 82};
  // 16 bytes: scale in the low, min in the high nibble; 64 bytes of 2-bit weights; d, dmin.
  static void unpack(const std::uint8_t* p, std::size_t sub, Unpacked& u) {
    const std::uint8_t* qs = p + 16 + sub / 4 * 32;  // 128 weights share 32 bytes
    for (int i = 0; i < 32; ++i) u.q[i] = static_cast<std::int8_t>((qs[i] >> (sub % 4 * 2)) & 3);
    const float d = half_to_float(p + 80), dmin = half_to_float(p + 82);
    for (std::size_t h = 0; h < 2; ++h) {
      u.scale[h] = d * static_cast<float>(p[2 * sub + h] & 15);
      u.min[h] = dmin * static_cast<float>(p[2 * sub + h] >> 4);
    }
  }
};

struct Q3_K {
  static constexpr Quant kId = Quant::kQ3_K;
  static constexpr std::string_view kName = "Q3_K";
  static constexpr std::size_t kBlock = 256, kBytes = 110;
  static constexpr std::size_t kHalves[] = {108};
  // 32 bytes of high bits (bit `sub` of byte i: weight 32 * sub + i), 64 bytes of 2-bit weights,
  // 12 bytes with 16 six-bit scales, d.
  static void unpack(const std::uint8_t* p, std::size_t sub, Unpacked& u) {
    const std::uint8_t* qs = p + 32 + sub / 4 * 32;
    for (int i = 0; i < 32; ++i) {
      const int high = (p[i] >> sub) & 1;
      u.q[i] = static_cast<std::int8_t>(((qs[i] >> (sub % 4 * 2)) & 3) + 4 * high - 4);
    }
    const float d = half_to_float(p + 108);
    for (std::size_t h = 0; h < 2; ++h)
      u.scale[h] = d * static_cast<float>(scale(p + 96, 2 * sub + h) - 32);
    u.min[0] = u.min[1] = 0;
  }
  static int scale(const std::uint8_t* packed, std::size_t j) {
    const int low = j < 8 ? packed[j] & 15 : packed[j - 8] >> 4;
    return low | ((packed[8 + j % 4] >> (j / 4 * 2)) & 3) << 4;
  }
};

// Six-bit scale and min of sub-block j of a Q4_K or Q5_K block from its 12 packed bytes.
RA_ALWAYS_INLINE void scale_min_k4(const std::uint8_t* packed, std::size_t j, int& scale,
                                   int& min) {
  if (j < 4) {
    scale = packed[j] & 63;
    min = packed[4 + j] & 63;
  } else {
    scale = (packed[4 + j] & 15) | (packed[j - 4] >> 6) << 4;
    min = packed[4 + j] >> 4 | (packed[j] >> 6) << 4;
  }
}

struct Q4_K {
  static constexpr Quant kId = Quant::kQ4_K;
  static constexpr std::string_view kName = "Q4_K";
  static constexpr std::size_t kBlock = 256, kBytes = 144;
  static constexpr std::size_t kHalves[] = {0, 2};
  // d, dmin, 12 bytes of scales and mins, 128 bytes of nibbles: 64 weights share 32 bytes.
  static void unpack(const std::uint8_t* p, std::size_t sub, Unpacked& u) {
    const std::uint8_t* qs = p + 16 + sub / 2 * 32;
    for (int i = 0; i < 32; ++i) u.q[i] = static_cast<std::int8_t>((qs[i] >> (sub % 2 * 4)) & 15);
    set_scales(p, sub, u);
  }
  static void set_scales(const std::uint8_t* p, std::size_t sub, Unpacked& u) {
    int scale = 0, min = 0;
    scale_min_k4(p + 4, sub, scale, min);
    u.scale[0] = u.scale[1] = half_to_float(p) * static_cast<float>(scale);
    u.min[0] = u.min[1] = half_to_float(p + 2) * static_cast<float>(min);
  }
};

struct Q5_K {
  static constexpr Quant kId = Quant::kQ5_K;
  static constexpr std::string_view kName = "Q5_K";
  static constexpr std::size_t kBlock = 256, kBytes = 176;
  static constexpr std::size_t kHalves[] = {0, 2};
  // As Q4_K, with 32 bytes of fifth bits before the nibbles (bit `sub` of byte i).
  static void unpack(const std::uint8_t* p, std::size_t sub, Unpacked& u) {
    const std::uint8_t* qs = p + 48 + sub / 2 * 32;
    for (int i = 0; i < 32; ++i) {
      const int high = (p[16 + i] >> sub) & 1;
      u.q[i] = static_cast<std::int8_t>(((qs[i] >> (sub % 2 * 4)) & 15) | high << 4);
    }
    Q4_K::set_scales(p, sub, u);
  }
};

struct Q6_K {
  static constexpr Quant kId = Quant::kQ6_K;
  static constexpr std::string_view kName = "Q6_K";
  static constexpr std::size_t kBlock = 256, kBytes = 210;
  static constexpr std::size_t kHalves[] = {208};
  // 128 bytes of low nibbles and 64 of high bit pairs, each half of them for 128 weights; 16 signed
  // scales; d.
  static void unpack(const std::uint8_t* p, std::size_t sub, Unpacked& u) {
    const std::size_t half = sub / 4, part = sub % 4;  // 32 weights of a half of 128
    const std::uint8_t* ql = p + half * 64 + part % 2 * 32;
    const std::uint8_t* qh = p + 128 + half * 32;
    for (int i = 0; i < 32; ++i) {
      const int low = (ql[i] >> (part / 2 * 4)) & 15, high = (qh[i] >> (part * 2)) & 3;
      u.q[i] = static_cast<std::int8_t>((low | high << 4) - 32);
    }
    const float d = half_to_float(p + 208);
    for (std::size_t h = 0; h < 2; ++h)
      u.scale[h] = d * static_cast<float>(static_cast<std::int8_t>(p[192 + 2 * sub + h]));
    u.min[0] = u.min[1] = 0;
  }
};

template <class... F>
struct FormatList {};
using BlockFormats = FormatList<Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K>;

template <class Visitor, class... F>
RA_ALWAYS_INLINE bool visit_format(Quant id, Visitor&& visit, FormatList<F...>) {
  return ((F::kId == id && (visit.template operator()<F>(), true)) || ...);
}
// Calls visit.template operator()<F>() for the format F of that id; false if it is F32, F16, BF16.
template <class Visitor>
RA_ALWAYS_INLINE bool visit_format(Quant id, Visitor&& visit) {
  return visit_format(id, visit, BlockFormats{});
}

}  // namespace
}  // namespace ra::kernels
