// SPDX-License-Identifier: Apache-2.0
// The blocks of formats.h as vectors of 32 bytes. For sources built with -mavx2 -mfma -mf16c only;
// in an anonymous namespace, so that no copy built with these flags can reach the rest of the
// program.
#pragma once

#include <immintrin.h>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/cpu/formats.h"

namespace ra::kernels {
namespace {

// The weights of a vector are unsigned (Q8_0: signed); the true integer is weight - kOffset.
//   load(p, sub)   weights 32 * sub .. 32 * sub + 31 of the block at p
//   kSubs          scales per block: 1, 8 (of 32 weights) or 16 (of 16 weights)
//   scales(p, s)   [kSubs]; mins(p, m) [kSubs] if kHasMin
template <class F>
struct SubsOf;

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

RA_ALWAYS_INLINE float half(const std::uint8_t* p) { return _cvtsh_ss(load_as<std::uint16_t>(p)); }

// 16 bytes of nibbles: low ones are weights 0-15, high ones 16-31.
RA_ALWAYS_INLINE __m256i nibbles(const std::uint8_t* p) {
  const __m128i v = load128(p);
  return _mm256_and_si256(_mm256_set_m128i(_mm_srli_epi16(v, 4), v), _mm256_set1_epi8(15));
}

// Byte i is `value` if bit i of the four bytes at p is set, else 0.
RA_ALWAYS_INLINE __m256i spread_bits(const std::uint8_t* p, char value) {
  const __m256i from = _mm256_setr_epi64x(0x0000000000000000, 0x0101010101010101,
                                          0x0202020202020202, 0x0303030303030303);
  const __m256i bit = _mm256_set1_epi64x(static_cast<long long>(0x8040201008040201));
  const __m256i bytes = _mm256_shuffle_epi8(_mm256_set1_epi32(load_as<std::int32_t>(p)), from);
  const __m256i set = _mm256_cmpeq_epi8(_mm256_and_si256(bytes, bit), bit);
  return _mm256_and_si256(set, _mm256_set1_epi8(value));
}

// Byte i is `value` if bit `plane` of byte i of the 32 at p is set, else 0.
RA_ALWAYS_INLINE __m256i plane_bits(const std::uint8_t* p, std::size_t plane, char value) {
  const __m256i bit = _mm256_set1_epi8(static_cast<char>(1u << plane));
  const __m256i set = _mm256_cmpeq_epi8(_mm256_and_si256(load256(p), bit), bit);
  return _mm256_and_si256(set, _mm256_set1_epi8(value));
}

// The 32 bytes at p shifted right and masked.
RA_ALWAYS_INLINE __m256i field(const std::uint8_t* p, std::size_t shift, char mask) {
  const __m128i count = _mm_cvtsi32_si128(static_cast<int>(shift));
  return _mm256_and_si256(_mm256_srl_epi16(load256(p), count), _mm256_set1_epi8(mask));
}

// out[i] = d * byte i, signed, of the low eight.
RA_ALWAYS_INLINE void store_products(float* out, float d, __m128i bytes) {
  const __m256 v = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes));
  _mm256_storeu_ps(out, _mm256_mul_ps(_mm256_set1_ps(d), v));
}
RA_ALWAYS_INLINE void store_products16(float* out, float d, __m128i bytes) {
  store_products(out, d, bytes);
  store_products(out + 8, d, _mm_srli_si128(bytes, 8));
}

// Blocks of 32 with a scale and, at byte 2, perhaps a negated min.
template <bool Min, int Offset>
struct Block32 {
  static constexpr bool kHasMin = Min;
  static constexpr int kOffset = Offset;
  static constexpr std::size_t kSubs = 1;
  static void scales(const std::uint8_t* p, float* s) { s[0] = half(p); }
  static void mins(const std::uint8_t* p, float* m) { m[0] = -half(p + 2); }
};

template <>
struct SubsOf<Q4_0> : Block32<false, 8> {
  static __m256i load(const std::uint8_t* p, std::size_t) { return nibbles(p + 2); }
};
template <>
struct SubsOf<Q4_1> : Block32<true, 0> {
  static __m256i load(const std::uint8_t* p, std::size_t) { return nibbles(p + 4); }
};
template <>
struct SubsOf<Q5_0> : Block32<false, 16> {
  static __m256i load(const std::uint8_t* p, std::size_t) {
    return _mm256_or_si256(nibbles(p + 6), spread_bits(p + 2, 16));
  }
};
template <>
struct SubsOf<Q5_1> : Block32<true, 0> {
  static __m256i load(const std::uint8_t* p, std::size_t) {
    return _mm256_or_si256(nibbles(p + 8), spread_bits(p + 4, 16));
  }
};
template <>
struct SubsOf<Q8_0> : Block32<false, 0> {
  static __m256i load(const std::uint8_t* p, std::size_t) { return load256(p + 2); }
};

template <>
struct SubsOf<Q2_K> {
  static constexpr bool kHasMin = true;
  static constexpr int kOffset = 0;
  static constexpr std::size_t kSubs = 16;
  static __m256i load(const std::uint8_t* p, std::size_t sub) {
    return field(p + 16 + sub / 4 * 32, sub % 4 * 2, 3);
  }
  static void scales(const std::uint8_t* p, float* s) {
    store_products16(s, half(p + 80), _mm_and_si128(load128(p), _mm_set1_epi8(15)));
  }
  static void mins(const std::uint8_t* p, float* m) {
    const __m128i high = _mm_and_si128(_mm_srli_epi16(load128(p), 4), _mm_set1_epi8(15));
    store_products16(m, half(p + 82), high);
  }
};

template <>
struct SubsOf<Q3_K> {
  static constexpr bool kHasMin = false;
  static constexpr int kOffset = 4;
  static constexpr std::size_t kSubs = 16;
  static __m256i load(const std::uint8_t* p, std::size_t sub) {
    return _mm256_or_si256(field(p + 32 + sub / 4 * 32, sub % 4 * 2, 3), plane_bits(p, sub, 4));
  }
  // See Q3_K::scale: low nibbles of 8 bytes, high bit pairs of 4.
  static void scales(const std::uint8_t* p, float* s) {
    const auto low = load_as<std::uint64_t>(p + 96);
    const std::uint64_t high = load_as<std::uint32_t>(p + 104);
    constexpr std::uint64_t k0f = 0x0f0f0f0f0f0f0f0f, k30 = 0x3030303030303030;
    const std::uint64_t first = (low & k0f) | ((high << 4 | high << 34) & k30);
    const std::uint64_t second = ((low >> 4) & k0f) | ((high | (high >> 2) << 32) & k30);
    const __m128i six =
        _mm_set_epi64x(static_cast<long long>(second), static_cast<long long>(first));
    store_products16(s, half(p + 108), _mm_sub_epi8(six, _mm_set1_epi8(32)));
  }
};

template <>
struct SubsOf<Q4_K> {
  static constexpr bool kHasMin = true;
  static constexpr int kOffset = 0;
  static constexpr std::size_t kSubs = 8;
  static __m256i load(const std::uint8_t* p, std::size_t sub) {
    return field(p + 16 + sub / 2 * 32, sub % 2 * 4, 15);
  }
  // The six-bit numbers of all eight sub-blocks at once, as bytes.
  static void scales(const std::uint8_t* p, float* s) {
    const std::uint32_t low = load_as<std::uint32_t>(p + 4);
    const std::uint32_t rest = load_as<std::uint32_t>(p + 12);
    const std::array<std::uint32_t, 2> six{low & 0x3f3f3f3fu,
                                           (rest & 0x0f0f0f0fu) | ((low >> 2) & 0x30303030u)};
    store_products(s, half(p), _mm_set1_epi64x(std::bit_cast<long long>(six)));
  }
  static void mins(const std::uint8_t* p, float* m) {
    const std::uint32_t low = load_as<std::uint32_t>(p + 8);
    const std::uint32_t rest = load_as<std::uint32_t>(p + 12);
    const std::array<std::uint32_t, 2> six{
        low & 0x3f3f3f3fu, ((rest >> 4) & 0x0f0f0f0fu) | ((low >> 2) & 0x30303030u)};
    store_products(m, half(p + 2), _mm_set1_epi64x(std::bit_cast<long long>(six)));
  }
};

template <>
struct SubsOf<Q5_K> : SubsOf<Q4_K> {
  static __m256i load(const std::uint8_t* p, std::size_t sub) {
    return _mm256_or_si256(field(p + 48 + sub / 2 * 32, sub % 2 * 4, 15),
                           plane_bits(p + 16, sub, 16));
  }
};

template <>
struct SubsOf<Q6_K> {
  static constexpr bool kHasMin = false;
  static constexpr int kOffset = 32;
  static constexpr std::size_t kSubs = 16;
  static __m256i load(const std::uint8_t* p, std::size_t sub) {
    const std::size_t half_block = sub / 4, part = sub % 4;
    const __m256i low = field(p + half_block * 64 + part % 2 * 32, part / 2 * 4, 15);
    const __m256i high = field(p + 128 + half_block * 32, part * 2, 3);
    return _mm256_or_si256(low, _mm256_slli_epi16(high, 4));
  }
  static void scales(const std::uint8_t* p, float* s) {
    store_products16(s, half(p + 208), load128(p + 192));
  }
};

}  // namespace
}  // namespace ra::kernels
