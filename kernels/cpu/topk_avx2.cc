// SPDX-License-Identifier: Apache-2.0
// Once the heap is full few scores reach its worst one (about k ln(n / k) of n in random order), so
// eight at a time are compared with it and mostly skipped.
#include <immintrin.h>

#include "kernels/cpu/topk_heap.h"
#include "kernels/topk.h"

namespace ra::kernels {

template <>
std::size_t topk<Level::kAvx2>(const TopkArgs& a) noexcept {
  TopkHeap heap(a);
  if (heap.capacity() == 0) return 0;
  std::size_t i = 0;
  for (; !heap.is_full(); ++i) heap.offer(a.scores[i], id_of(a, i));
  for (; i + 8 <= a.n; i += 8) {
    const __m256 enters = _mm256_cmp_ps(_mm256_loadu_ps(a.scores + i), _mm256_set1_ps(heap.worst()),
                                        _CMP_NLT_UQ);  // NaN too
    for (auto m = static_cast<unsigned>(_mm256_movemask_ps(enters)); m != 0; m &= m - 1) {
      const std::size_t at = i + static_cast<std::size_t>(__builtin_ctz(m));
      heap.offer(a.scores[at], id_of(a, at));
    }
  }
  for (; i < a.n; ++i) heap.offer(a.scores[i], id_of(a, i));
  heap.sort();
  return heap.capacity();
}

}  // namespace ra::kernels
