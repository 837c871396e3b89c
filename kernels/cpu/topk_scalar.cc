// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/topk_heap.h"
#include "kernels/topk.h"

namespace ra::kernels {

template <>
std::size_t topk<Level::kScalar>(const TopkArgs& a) noexcept {
  TopkHeap heap(a);
  if (heap.capacity() == 0) return 0;
  for (std::size_t i = 0; i < a.n; ++i) heap.offer(a.scores[i], id_of(a, i));
  heap.sort();
  return heap.capacity();
}

}  // namespace ra::kernels
