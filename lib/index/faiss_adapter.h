// SPDX-License-Identifier: Apache-2.0
// The ordinary indexes to compare with, from FAISS: IVF and HNSW. Rows of the index table; none if
// FAISS was not found at configure time.
#pragma once

#include <span>

#include "lib/index/registry.h"

namespace ra::index {

std::span<const IndexType> faiss_index_types();

// Names FAISS, how it was compiled and its BLAS to core's provenance; nothing without FAISS.
void note_faiss();

}  // namespace ra::index
