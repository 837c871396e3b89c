// SPDX-License-Identifier: Apache-2.0
// The blocks of formats.h as vectors of 64 bytes. For sources built with the avx512 flags only; in
// an anonymous namespace, so that no copy built with these flags can reach the rest of the program.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/cpu/formats.h"

namespace ra::kernels {
namespace {

// The weights of a vector are unsigned (Q8_0: signed); the true integer is weight - kOffset.
//
// PairsOf<F>, blocks of 32: the vector is block `a`, then block `b`.
//   load(a, b)    64 weights
//   scales(a, b)  scale in the 8 lanes of each block
//   mins(a, b)    min likewise, if kHasMin
// ChunksOf<F>, blocks of 256 at p: the vector is weights 64 * c .. 64 * c + 63.
//   load(p, c)    64 weights
//   kSubs         sub-blocks per block: 16 (of 16 weights) or 8 (of 32)
//   scales(p)     scale of each sub-block, one lane each; mins(p) likewise, if kHasMin
template <class F>
struct PairsOf;
template <class F>
struct ChunksOf;

template <class T>
RA_ALWAYS_INLINE T load_as(const std::uint8_t* p) {
  T v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

RA_ALWAYS_INLINE __m128i load128(const std::uint8_t* p) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
}
RA_ALWAYS_INLINE __m256i load256(const std::uint8_t* p) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}

RA_ALWAYS_INLINE __m512 half_pair(const std::uint8_t* a, const std::uint8_t* b) {
  const __m256i h = _mm256_mask_set1_epi16(_mm256_set1_epi16(load_as<std::int16_t>(a)), 0xff00,
                                           load_as<std::int16_t>(b));
  return _mm512_cvtph_ps(h);
}

RA_ALWAYS_INLINE __m512 broadcast_half(const std::uint8_t* p) {
  return _mm512_cvtph_ps(_mm256_set1_epi16(load_as<std::int16_t>(p)));
}

// 16 bytes of nibbles from each block: low ones are weights 0-15, high ones 16-31.
RA_ALWAYS_INLINE __m512i nibble_pair(const std::uint8_t* a, const std::uint8_t* b) {
  const __m512i both =
      _mm512_mask_broadcast_i32x4(_mm512_broadcast_i32x4(load128(a)), 0xff00, load128(b));
  const __m512i shift = _mm512_setr_epi64(0, 0, 0x0004000400040004, 0x0004000400040004, 0, 0,
                                          0x0004000400040004, 0x0004000400040004);
  return _mm512_and_si512(_mm512_srlv_epi16(both, shift), _mm512_set1_epi8(15));
}

RA_ALWAYS_INLINE __m512i add_fifth_bits(__m512i low, const std::uint8_t* a, const std::uint8_t* b) {
  const auto bits = static_cast<__mmask64>(load_as<std::uint32_t>(a) |
                                           std::uint64_t{load_as<std::uint32_t>(b)} << 32);
  return _mm512_mask_add_epi8(low, bits, low, _mm512_set1_epi8(16));
}

template <>
struct PairsOf<Q4_0> {
  static constexpr bool kHasMin = false;
  static constexpr int kOffset = 8;
  static __m512i load(const std::uint8_t* a, const std::uint8_t* b) {
    return nibble_pair(a + 2, b + 2);
  }
  static __m512 scales(const std::uint8_t* a, const std::uint8_t* b) { return half_pair(a, b); }
};

template <>
struct PairsOf<Q4_1> {
  static constexpr bool kHasMin = true;
  static constexpr int kOffset = 0;
  static __m512i load(const std::uint8_t* a, const std::uint8_t* b) {
    return nibble_pair(a + 4, b + 4);
  }
  static __m512 scales(const std::uint8_t* a, const std::uint8_t* b) { return half_pair(a, b); }
  static __m512 mins(const std::uint8_t* a, const std::uint8_t* b) {
    return _mm512_xor_ps(half_pair(a + 2, b + 2), _mm512_set1_ps(-0.0f));
  }
};

template <>
struct PairsOf<Q5_0> {
  static constexpr bool kHasMin = false;
  static constexpr int kOffset = 16;
  static __m512i load(const std::uint8_t* a, const std::uint8_t* b) {
    return add_fifth_bits(nibble_pair(a + 6, b + 6), a + 2, b + 2);
  }
  static __m512 scales(const std::uint8_t* a, const std::uint8_t* b) { return half_pair(a, b); }
};

template <>
struct PairsOf<Q5_1> {
  static constexpr bool kHasMin = true;
  static constexpr int kOffset = 0;
  static __m512i load(const std::uint8_t* a, const std::uint8_t* b) {
    return add_fifth_bits(nibble_pair(a + 8, b + 8), a + 4, b + 4);
  }
  static __m512 scales(const std::uint8_t* a, const std::uint8_t* b) { return half_pair(a, b); }
  static __m512 mins(const std::uint8_t* a, const std::uint8_t* b) {
    return PairsOf<Q4_1>::mins(a, b);
  }
};

template <>
struct PairsOf<Q8_0> {
  static constexpr bool kHasMin = false;
  static constexpr int kOffset = 0;
  static __m512i load(const std::uint8_t* a, const std::uint8_t* b) {
    return _mm512_inserti64x4(_mm512_castsi256_si512(load256(a + 2)), load256(b + 2), 1);
  }
  static __m512 scales(const std::uint8_t* a, const std::uint8_t* b) { return half_pair(a, b); }
};

// The 32 bytes at p in both halves, shifted right by `lo` and by `hi` bits (bits of the neighbour
// byte come in and must be masked away).
RA_ALWAYS_INLINE __m512i shifted_halves(const std::uint8_t* p, int lo, int hi) {
  const __m512i both = _mm512_broadcast_i64x4(load256(p));
  const __m512i shift = _mm512_mask_set1_epi16(_mm512_set1_epi16(static_cast<short>(lo)),
                                               0xffff0000u, static_cast<short>(hi));
  return _mm512_srlv_epi16(both, shift);
}

// One bit per weight: bit `2 * c` of the 32 bytes at p, then bit `2 * c + 1`; adds `value` if set.
RA_ALWAYS_INLINE __m512i add_plane_bits(__m512i low, const std::uint8_t* p, std::size_t c,
                                        char value) {
  const __m512i both = _mm512_broadcast_i64x4(load256(p));
  const __m512i bit =
      _mm512_mask_set1_epi8(_mm512_set1_epi8(static_cast<char>(1u << (2 * c))), 0xffffffff00000000u,
                            static_cast<char>(1u << (2 * c + 1)));
  return _mm512_mask_add_epi8(low, _mm512_test_epi8_mask(both, bit), low, _mm512_set1_epi8(value));
}

// The six-bit scales and mins of Q4_K and Q5_K: 8 bytes each.
RA_ALWAYS_INLINE void unpack_k4(const std::uint8_t* packed, std::uint64_t& scales,
                                std::uint64_t& mins) {
  const auto s = load_as<std::uint32_t>(packed), m = load_as<std::uint32_t>(packed + 4);
  const auto rest = load_as<std::uint32_t>(packed + 8);
  const std::uint32_t high_s = (rest & 0x0f0f0f0fu) | ((s >> 2) & 0x30303030u);
  const std::uint32_t high_m = ((rest >> 4) & 0x0f0f0f0fu) | ((m >> 2) & 0x30303030u);
  scales = (s & 0x3f3f3f3fu) | std::uint64_t{high_s} << 32;
  mins = (m & 0x3f3f3f3fu) | std::uint64_t{high_m} << 32;
}

RA_ALWAYS_INLINE __m512 small_to_float(__m128i unsigned_bytes) {
  return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(unsigned_bytes));
}

template <>
struct ChunksOf<Q2_K> {
  static constexpr bool kHasMin = true;
  static constexpr int kOffset = 0;
  static constexpr std::size_t kSubs = 16;
  static __m512i load(const std::uint8_t* p, std::size_t c) {
    const int shift = static_cast<int>(c % 2 * 4);
    return _mm512_and_si512(shifted_halves(p + 16 + c / 2 * 32, shift, shift + 2),
                            _mm512_set1_epi8(3));
  }
  static __m512 scales(const std::uint8_t* p) {
    return _mm512_mul_ps(broadcast_half(p + 80),
                         small_to_float(_mm_and_si128(load128(p), _mm_set1_epi8(15))));
  }
  static __m512 mins(const std::uint8_t* p) {
    const __m128i high = _mm_and_si128(_mm_srli_epi16(load128(p), 4), _mm_set1_epi8(15));
    return _mm512_mul_ps(broadcast_half(p + 82), small_to_float(high));
  }
};

template <>
struct ChunksOf<Q3_K> {
  static constexpr bool kHasMin = false;
  static constexpr int kOffset = 4;
  static constexpr std::size_t kSubs = 16;
  static __m512i load(const std::uint8_t* p, std::size_t c) {
    const int shift = static_cast<int>(c % 2 * 4);
    const __m512i low = _mm512_and_si512(shifted_halves(p + 32 + c / 2 * 32, shift, shift + 2),
                                         _mm512_set1_epi8(3));
    return add_plane_bits(low, p, c, 4);
  }
  static __m512 scales(const std::uint8_t* p) {
    const auto low = load_as<std::uint64_t>(p + 96);
    const std::uint64_t high = load_as<std::uint32_t>(p + 104);
    constexpr std::uint64_t k0f = 0x0f0f0f0f0f0f0f0f, k30 = 0x3030303030303030;
    // Byte j % 4 of `high` holds the upper bits of scales j at position 2 * (j / 4).
    const std::uint64_t first = (low & k0f) | (((high << 4) | (high << 34)) & k30);
    const std::uint64_t second = ((low >> 4) & k0f) | ((high | (high >> 2) << 32) & k30);
    const __m128i six =
        _mm_set_epi64x(static_cast<long long>(second), static_cast<long long>(first));
    const __m128i centred = _mm_sub_epi8(six, _mm_set1_epi8(32));
    return _mm512_mul_ps(broadcast_half(p + 108),
                         _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(centred)));
  }
};

template <>
struct ChunksOf<Q4_K> {
  static constexpr bool kHasMin = true;
  static constexpr int kOffset = 0;
  static constexpr std::size_t kSubs = 8;
  static __m512i load(const std::uint8_t* p, std::size_t c) {
    return _mm512_and_si512(shifted_halves(p + 16 + c * 32, 0, 4), _mm512_set1_epi8(15));
  }
  // Lanes 8-15 are zero.
  static __m512 scales(const std::uint8_t* p) {
    std::uint64_t s = 0, m = 0;
    unpack_k4(p + 4, s, m);
    return _mm512_mul_ps(broadcast_half(p),
                         small_to_float(_mm_cvtsi64_si128(static_cast<long long>(s))));
  }
  static __m512 mins(const std::uint8_t* p) {
    std::uint64_t s = 0, m = 0;
    unpack_k4(p + 4, s, m);
    return _mm512_mul_ps(broadcast_half(p + 2),
                         small_to_float(_mm_cvtsi64_si128(static_cast<long long>(m))));
  }
};

template <>
struct ChunksOf<Q5_K> {
  static constexpr bool kHasMin = true;
  static constexpr int kOffset = 0;
  static constexpr std::size_t kSubs = 8;
  static __m512i load(const std::uint8_t* p, std::size_t c) {
    const __m512i low =
        _mm512_and_si512(shifted_halves(p + 48 + c * 32, 0, 4), _mm512_set1_epi8(15));
    return add_plane_bits(low, p + 16, c, 16);
  }
  static __m512 scales(const std::uint8_t* p) { return ChunksOf<Q4_K>::scales(p); }
  static __m512 mins(const std::uint8_t* p) { return ChunksOf<Q4_K>::mins(p); }
};

template <>
struct ChunksOf<Q6_K> {
  static constexpr bool kHasMin = false;
  static constexpr int kOffset = 32;
  static constexpr std::size_t kSubs = 16;
  static __m512i load(const std::uint8_t* p, std::size_t c) {
    const std::uint8_t* ql = p + c / 2 * 64;
    __m512i low = _mm512_loadu_si512(ql);
    const __m512i pairs = _mm512_broadcast_i64x4(load256(p + 128 + c / 2 * 32));
    // Weight i of part j = 0..3 has bits 2 * j and 2 * j + 1 of byte i; they go to bits 4 and 5.
    __m512i high;
    if (c % 2 == 0) {
      high =
          _mm512_mask_blend_epi64(0xf0, _mm512_slli_epi16(pairs, 4), _mm512_slli_epi16(pairs, 2));
    } else {
      low = _mm512_srli_epi16(low, 4);
      high = _mm512_mask_srli_epi16(pairs, 0xffff0000u, pairs, 2);
    }
    // (low & 0x0f) | (high & 0x30)
    return _mm512_ternarylogic_epi32(_mm512_and_si512(low, _mm512_set1_epi8(0x0f)), high,
                                     _mm512_set1_epi8(0x30), 0xf8);
  }
  static __m512 scales(const std::uint8_t* p) {
    return _mm512_mul_ps(broadcast_half(p + 208),
                         _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(load128(p + 192))));
  }
};

}  // namespace
}  // namespace ra::kernels
