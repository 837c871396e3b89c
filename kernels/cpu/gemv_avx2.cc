// SPDX-License-Identifier: Apache-2.0
// Integer inner products by VPMADDUBSW: 32 weights an instruction, two for the bytes of an
// activation, one row of weights at a time for up to four tokens.
#include <immintrin.h>

#include "kernels/cpu/lanes_avx2.h"
#include "kernels/cpu/unpack_avx2.h"
#include "kernels/gemv.h"

namespace ra::kernels {
namespace {

constexpr std::size_t kAhead = 4096;  // bytes prefetched ahead

// Eight sums of four products with 32 activations, given by their bytes from `at` on. The 16-bit
// sums of two cannot overflow: unsigned weights are at most 63, and |w| <= 128 times |x| <= 127
// twice is 32512.
template <bool kSigned>
RA_ALWAYS_INLINE __m256 int_dot(__m256i w, const QuantizedRow& x, std::size_t at) {
  __m256i high = load256(reinterpret_cast<const std::uint8_t*>(x.high) + at);
  __m256i low = load256(reinterpret_cast<const std::uint8_t*>(x.low) + at);
  if constexpr (kSigned) {  // |w| * (sign(w) x): the first factor must be unsigned
    high = _mm256_sign_epi8(high, w);
    low = _mm256_sign_epi8(low, w);
    w = _mm256_abs_epi8(w);
  }
  const __m256i sum =
      _mm256_add_epi32(_mm256_madd_epi16(_mm256_maddubs_epi16(w, high), _mm256_set1_epi16(256)),
                       _mm256_madd_epi16(_mm256_maddubs_epi16(w, low), _mm256_set1_epi16(1)));
  return _mm256_cvtepi32_ps(sum);
}

// Lanes 0-3: a, lanes 4-7: b.
RA_ALWAYS_INLINE __m256 two(float a, float b) {
  return _mm256_set_m128(_mm_set1_ps(b), _mm_set1_ps(a));
}

// acc - sum of n (a multiple of 8) a[i] * b[i]
RA_ALWAYS_INLINE __m256 subtract_products(__m256 acc, const float* a, const float* b,
                                          std::size_t n) {
  for (std::size_t i = 0; i < n; i += 8)
    acc = _mm256_fnmadd_ps(_mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i), acc);
  return acc;
}

// Blocks of 32.
template <class F, int N>
void dot_row32(const std::uint8_t* row, const QuantizedRow (&x)[N], std::size_t cols,
               float (&out)[N]) {
  using U = SubsOf<F>;
  constexpr bool kSigned = F::kId == Quant::kQ8_0;
  __m256 acc[N];
  float less[N] = {};
  for (__m256& v : acc) v = _mm256_setzero_ps();
  for (std::size_t b = 0; b < cols / 32; ++b, row += F::kBytes) {
    _mm_prefetch(reinterpret_cast<const char*>(row + kAhead), _MM_HINT_T0);
    const __m256i w = U::load(row, 0);
    float scale = 0, min = 0;
    U::scales(row, &scale);
    if constexpr (U::kHasMin) {
      U::mins(row, &min);
    } else {
      min = static_cast<float>(U::kOffset) * scale;
    }
    for (int t = 0; t < N; ++t) {
      const __m256 factor = _mm256_set1_ps(scale * x[t].scale[b]);
      acc[t] = _mm256_fmadd_ps(int_dot<kSigned>(w, x[t], 32 * b), factor, acc[t]);
      if constexpr (!kSigned) less[t] += min * x[t].sum[b];
    }
  }
  for (int t = 0; t < N; ++t) out[t] = reduce_add(acc[t]) - less[t];
}

// Blocks of 256.
template <class F, int N>
void dot_row256(const std::uint8_t* row, const QuantizedRow (&x)[N], std::size_t cols,
                float (&out)[N]) {
  using U = SubsOf<F>;
  __m256 acc[N];
  for (__m256& v : acc) v = _mm256_setzero_ps();
  float scale[16], min[16] = {};
  for (std::size_t b = 0; b < cols / 32; b += 8, row += F::kBytes) {
    for (std::size_t i = 0; i < F::kBytes; i += 64)
      _mm_prefetch(reinterpret_cast<const char*>(row + kAhead + i), _MM_HINT_T0);
    U::scales(row, scale);
    if constexpr (U::kHasMin) {
      U::mins(row, min);
    } else {
      for (std::size_t j = 0; j < U::kSubs; ++j) min[j] = static_cast<float>(U::kOffset) * scale[j];
    }
    for (int t = 0; t < N; ++t)
      acc[t] = subtract_products(acc[t], min, U::kSubs == 16 ? x[t].half_sum + 2 * b : x[t].sum + b,
                                 U::kSubs);
    for (std::size_t sub = 0; sub < 8; ++sub) {
      const __m256i w = U::load(row, sub);
      const __m256 d =
          U::kSubs == 16 ? two(scale[2 * sub], scale[2 * sub + 1]) : _mm256_set1_ps(scale[sub]);
      for (int t = 0; t < N; ++t) {
        const __m256 factor = _mm256_mul_ps(d, _mm256_set1_ps(x[t].scale[b + sub]));
        acc[t] = _mm256_fmadd_ps(int_dot<false>(w, x[t], 32 * (b + sub)), factor, acc[t]);
      }
    }
  }
  for (int t = 0; t < N; ++t) out[t] = reduce_add(acc[t]);
}

template <class F, int N>
void multiply_row(const GemvArgs& a, std::size_t row, std::size_t token) {
  QuantizedRow x[N];
  for (int t = 0; t < N; ++t) x[t] = quantized_row(a.x, token + t);
  float out[N];
  const std::uint8_t* w = reinterpret_cast<const std::uint8_t*>(a.w) + row * a.row_bytes;
  if constexpr (F::kBlock == 32) {
    dot_row32<F>(w, x, a.x.cols, out);
  } else {
    dot_row256<F>(w, x, a.x.cols, out);
  }
  for (int t = 0; t < N; ++t) {
    float& y = a.y[(token + t) * a.y_stride + row];
    y = (a.add ? y : 0.0f) + out[t];
  }
}

template <class F>
void multiply(const GemvArgs& a) {
  for (std::size_t r = 0; r < a.rows; ++r) {
    std::size_t t = 0;
    for (; t + 4 <= a.x.tokens; t += 4) multiply_row<F, 4>(a, r, t);
    for (; t < a.x.tokens; ++t) multiply_row<F, 1>(a, r, t);
  }
}

}  // namespace

template <>
void gemv<Level::kAvx2>(const GemvArgs& a) noexcept {
  if (visit_format(a.type, [&]<class F>() { multiply<F>(a); })) return;
  gemv_f32<Level::kAvx2>(a);  // F32, F16, BF16: a decoded piece at a time
}

}  // namespace ra::kernels
