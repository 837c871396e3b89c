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
// QuadsOf<F>, four blocks of 32 at p. 128-bit lane i of a vector belongs to block i.
//   load(p, lo, hi)  weights 0-15 and 16-31 of the blocks
//   scales(p)        lane 2 * i: scale of block i, lane 2 * i + 1: its negated min, or 0
// ChunksOf<F>, a block of 256 at p.
//   load(p, c)       weights 64 * c .. 64 * c + 63
//   kSubs            sub-blocks: 16 (of 16 weights) or 8 (of 32)
//   scales(p)        scale of each sub-block, one lane each; mins(p) likewise, if kHasMin
template <class F>
struct QuadsOf;
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

RA_ALWAYS_INLINE __m512 broadcast_half(const std::uint8_t* p) {
  return _mm512_cvtph_ps(_mm256_set1_epi16(load_as<std::int16_t>(p)));
}

// Four blocks of Stride <= 24 bytes, each a header and 16 bytes of nibbles. Two loads and one
// permutation of 32-bit words bring a field of all four together: blocks 0 and 2 lie a multiple of
// 4 bytes apart, and so do 1 and 3. No load passes the end of the blocks.
template <std::size_t Stride>
struct NibbleQuad {
  static_assert(Stride % 2 == 0 && Stride >= 18 && Stride <= 24);
  static constexpr int kTwo = Stride / 2;  // words from block 0 to 2

  // 128-bit lane i: the nibbles of block i, which end the block.
  RA_ALWAYS_INLINE static __m512i nibbles(const std::uint8_t* p) {
    constexpr int kOne = 16 + (48 - 2 * Stride) / 4;  // of block 1 in the second load
    const __m512i words = _mm512_setr_epi32(0, 1, 2, 3, kOne, kOne + 1, kOne + 2, kOne + 3, kTwo,
                                            kTwo + 1, kTwo + 2, kTwo + 3, 28, 29, 30, 31);
    return _mm512_permutex2var_epi32(_mm512_loadu_si512(p + Stride - 16), words,
                                     _mm512_loadu_si512(p + 4 * Stride - 64));
  }

  // Word i: the first four bytes of block i.
  RA_ALWAYS_INLINE static __m128i heads(const std::uint8_t* p) {
    // The last start that keeps the load inside and block 1 at a whole word.
    constexpr std::size_t kEnd = 4 * Stride - 64;
    constexpr std::size_t kStart = kEnd >= Stride ? Stride : Stride - (Stride - kEnd + 3) / 4 * 4;
    constexpr int kOne = 16 + (Stride - kStart) / 4;
    const __m512i words =
        _mm512_setr_epi32(0, kOne, kTwo, kOne + kTwo, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    return _mm512_castsi512_si128(
        _mm512_permutex2var_epi32(_mm512_loadu_si512(p), words, _mm512_loadu_si512(p + kStart)));
  }
};

template <std::size_t Stride>
RA_ALWAYS_INLINE void load_nibbles(const std::uint8_t* p, __m512i& lo, __m512i& hi) {
  const __m512i both = NibbleQuad<Stride>::nibbles(p), mask = _mm512_set1_epi8(15);
  lo = _mm512_and_si512(both, mask);
  hi = _mm512_and_si512(_mm512_srli_epi16(both, 4), mask);
}

// Adds 16 to the weights whose bit is set in the four bytes per block at p.
template <std::size_t Stride>
RA_ALWAYS_INLINE void add_fifth_bits(const std::uint8_t* p, __m512i& lo, __m512i& hi) {
  const auto gather = [](const std::uint8_t* at) __attribute__((always_inline)) {
    return static_cast<__mmask64>(std::uint64_t{load_as<std::uint16_t>(at)} |
                                  std::uint64_t{load_as<std::uint16_t>(at + Stride)} << 16 |
                                  std::uint64_t{load_as<std::uint16_t>(at + 2 * Stride)} << 32 |
                                  std::uint64_t{load_as<std::uint16_t>(at + 3 * Stride)} << 48);
  };
  const __m512i sixteen = _mm512_set1_epi8(16);
  lo = _mm512_mask_add_epi8(lo, gather(p), lo, sixteen);
  hi = _mm512_mask_add_epi8(hi, gather(p + 2), hi, sixteen);
}

template <class F, bool Min, int Offset>
struct Quad {
  static constexpr bool kHasMin = Min;
  static constexpr int kOffset = Offset;
  static __m256 scales(const std::uint8_t* p) {
    const __m128i heads = NibbleQuad<F::kBytes>::heads(p);  // d and m, or d and other bytes
    return Min ? _mm256_cvtph_ps(heads) : _mm256_maskz_cvtph_ps(0x55, heads);
  }
};

template <>
struct QuadsOf<Q4_0> : Quad<Q4_0, false, 8> {
  static void load(const std::uint8_t* p, __m512i& lo, __m512i& hi) {
    load_nibbles<Q4_0::kBytes>(p, lo, hi);
  }
};

template <>
struct QuadsOf<Q4_1> : Quad<Q4_1, true, 0> {
  static void load(const std::uint8_t* p, __m512i& lo, __m512i& hi) {
    load_nibbles<Q4_1::kBytes>(p, lo, hi);
  }
};

template <>
struct QuadsOf<Q5_0> : Quad<Q5_0, false, 16> {
  static void load(const std::uint8_t* p, __m512i& lo, __m512i& hi) {
    load_nibbles<Q5_0::kBytes>(p, lo, hi);
    add_fifth_bits<Q5_0::kBytes>(p + 2, lo, hi);
  }
};

template <>
struct QuadsOf<Q5_1> : Quad<Q5_1, true, 0> {
  static void load(const std::uint8_t* p, __m512i& lo, __m512i& hi) {
    load_nibbles<Q5_1::kBytes>(p, lo, hi);
    add_fifth_bits<Q5_1::kBytes>(p + 4, lo, hi);
  }
};

template <>
struct QuadsOf<Q8_0> {
  static constexpr bool kHasMin = false;
  static constexpr int kOffset = 0;
  static constexpr std::size_t kStride = Q8_0::kBytes;
  static __m256 scales(const std::uint8_t* p) {
    const __m128i heads = _mm_setr_epi32(
        load_as<std::int32_t>(p), load_as<std::int32_t>(p + kStride),
        load_as<std::int32_t>(p + 2 * kStride), load_as<std::int32_t>(p + 3 * kStride));
    return _mm256_maskz_cvtph_ps(0x55, heads);
  }
  static __m512i load_lanes(const std::uint8_t* p) {
    __m512i v = _mm512_castsi128_si512(load128(p));
    v = _mm512_inserti32x4(v, load128(p + kStride), 1);
    v = _mm512_inserti32x4(v, load128(p + 2 * kStride), 2);
    return _mm512_inserti32x4(v, load128(p + 3 * kStride), 3);
  }
  static void load(const std::uint8_t* p, __m512i& lo, __m512i& hi) {
    lo = load_lanes(p + 2);
    hi = load_lanes(p + 18);
  }
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
