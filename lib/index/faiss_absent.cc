// SPDX-License-Identifier: Apache-2.0
// Stands in for faiss_adapter.cc in a build without FAISS.
#include "lib/index/faiss_adapter.h"

namespace ra::index {

std::span<const IndexType> faiss_index_types() { return {}; }

void note_faiss() {}

}  // namespace ra::index
