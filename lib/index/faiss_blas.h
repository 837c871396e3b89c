// SPDX-License-Identifier: Apache-2.0
// The BLAS that FAISS's k-means calls. OpenBLAS comes in builds that share one interface: the
// OpenMP build runs on this program's pool and obeys its thread count, the pthread build brings a
// second pool that takes every core whatever --threads says. Which one is loaded is known only now.
#pragma once

#include <string>

namespace ra::index {

// For records: "OpenBLAS 0.3.21 openmp", "OpenBLAS 0.3.21 pthread, held to 1 thread"; "unknown" for
// a BLAS that does not say.
std::string blas_description();

// Holds a BLAS with a pool of its own to the calling thread; any other is left alone. Costs nothing
// when repeated.
void keep_one_thread_pool();

}  // namespace ra::index
