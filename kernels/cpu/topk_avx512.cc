// SPDX-License-Identifier: Apache-2.0
// Once the heap is full few scores reach its worst one (about k ln(n / k) of n in random order), so
// sixteen at a time are compared with it and mostly skipped.
#include <immintrin.h>

#include "kernels/cpu/lanes_avx512.h"
#include "kernels/cpu/topk_heap.h"
#include "kernels/topk.h"

namespace ra::kernels {

template <>
std::size_t topk<Level::kAvx512>(const TopkArgs& a) noexcept {
  TopkHeap heap(a);
  if (heap.capacity() == 0) return 0;
  std::size_t i = 0;
  for (; !heap.is_full(); ++i) heap.offer(a.scores[i], id_of(a, i));
  for (; i < a.n; i += 16) {
    const __mmask16 valid = first_lanes(a.n - i);
    const __mmask16 enters =
        _mm512_mask_cmp_ps_mask(valid, load16(a.scores + i, valid), _mm512_set1_ps(heap.worst()),
                                _CMP_NLT_UQ);  // NaN too
    for (unsigned m = enters; m != 0; m &= m - 1) {
      const std::size_t at = i + static_cast<std::size_t>(__builtin_ctz(m));
      heap.offer(a.scores[at], id_of(a, at));
    }
  }
  heap.sort();
  return heap.capacity();
}

}  // namespace ra::kernels
