// SPDX-License-Identifier: Apache-2.0
// int8 inner products by VPMADDUBSW: 32 weights an instruction, one row of weights at a time for
// up to four tokens.
#include <immintrin.h>

#include "kernels/cpu/lanes_avx2.h"
#include "kernels/cpu/unpack_avx2.h"
#include "kernels/gemv.h"

namespace ra::kernels {
namespace {

// Eight sums of four products. The 16-bit sums of two cannot overflow: unsigned weights are at most
// 63, and |w| <= 128 times |x| <= 127 twice is 32512.
template <bool kSigned>
RA_ALWAYS_INLINE __m256 int_dot(__m256i w, __m256i x) {
  if constexpr (kSigned) {  // |w| * (sign(w) x): the first factor must be unsigned
    x = _mm256_sign_epi8(x, w);
    w = _mm256_abs_epi8(w);
  }
  return _mm256_cvtepi32_ps(_mm256_madd_epi16(_mm256_maddubs_epi16(w, x), _mm256_set1_epi16(1)));
}

// Lanes 0-3: a, lanes 4-7: b.
RA_ALWAYS_INLINE __m256 two(float a, float b) {
  return _mm256_set_m128(_mm_set1_ps(b), _mm_set1_ps(a));
}

// What scale * weight leaves to subtract, per unit of the sum of the activations.
template <class U>
RA_ALWAYS_INLINE float offset_of(float scale, float min) {
  return U::kHasMin ? min : static_cast<float>(U::kOffset) * scale;
}

template <class F, int N>
void dot_row(const std::uint8_t* row, const QuantizedRow (&x)[N], std::size_t cols,
             float (&out)[N]) {
  using U = SubsOf<F>;
  constexpr bool kSigned = F::kId == Quant::kQ8_0;
  constexpr std::size_t kBlocks = F::kBlock / 32;  // activation blocks per block of weights
  __m256 acc[N];
  float less[N] = {};
  for (__m256& v : acc) v = _mm256_setzero_ps();
  float scale[16], min[16] = {};
  for (std::size_t b = 0; b < cols / 32; b += kBlocks, row += F::kBytes) {
    _mm_prefetch(reinterpret_cast<const char*>(row + 1024), _MM_HINT_T0);
    U::scales(row, scale);
    if constexpr (U::kHasMin) U::mins(row, min);
    for (std::size_t sub = 0; sub < kBlocks; ++sub) {
      const __m256i w = U::load(row, sub);
      const std::size_t s = U::kSubs == 16 ? 2 * sub : sub;
      const __m256 d = U::kSubs == 16 ? two(scale[s], scale[s + 1]) : _mm256_set1_ps(scale[s]);
      for (int t = 0; t < N; ++t) {
        const __m256i q = load256(reinterpret_cast<const std::uint8_t*>(x[t].q) + 32 * (b + sub));
        const __m256 factor = _mm256_mul_ps(d, _mm256_set1_ps(x[t].scale[b + sub]));
        acc[t] = _mm256_fmadd_ps(int_dot<kSigned>(w, q), factor, acc[t]);
        if constexpr (U::kSubs == 16) {
          const float* sums = x[t].half_sum + 2 * (b + sub);
          less[t] += offset_of<U>(scale[s], min[s]) * sums[0] +
                     offset_of<U>(scale[s + 1], min[s + 1]) * sums[1];
        } else if constexpr (!kSigned) {
          less[t] += offset_of<U>(scale[s], min[s]) * x[t].sum[b + sub];
        }
      }
    }
  }
  for (int t = 0; t < N; ++t) out[t] = reduce_add(acc[t]) - less[t];
}

template <class F, int N>
void multiply_row(const GemvArgs& a, std::size_t row, std::size_t token) {
  QuantizedRow x[N];
  for (int t = 0; t < N; ++t) x[t] = quantized_row(a.x, token + t);
  float out[N];
  dot_row<F>(reinterpret_cast<const std::uint8_t*>(a.w) + row * a.row_bytes, x, a.x.cols, out);
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
