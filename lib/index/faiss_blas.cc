// SPDX-License-Identifier: Apache-2.0
#include "lib/index/faiss_blas.h"

#include <dlfcn.h>

#include <string_view>

namespace ra::index {
namespace {

// OpenBLAS's extensions are looked up in the running process: the BLAS is chosen when the program
// starts (update-alternatives), and another one has none of them.
template <class Function>
Function* in_process(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_DEFAULT, name));
}

constexpr int kPthreads = 1, kOpenMp = 2;  // of openblas_get_parallel; 0 = one thread

int threading() {
  auto* parallel = in_process<int()>("openblas_get_parallel");
  return parallel != nullptr ? parallel() : -1;
}

}  // namespace

std::string blas_description() {
  auto* config = in_process<char*()>("openblas_get_config");
  if (config == nullptr) return "unknown";
  // "OpenBLAS 0.3.21 NO_AFFINITY USE_OPENMP ...": the first two words.
  const std::string_view text = config();
  const std::string name(text.substr(0, text.find(' ', text.find(' ') + 1)));
  switch (threading()) {
    case kPthreads:
      return name + " pthread, held to 1 thread";
    case kOpenMp:
      return name + " openmp";
    default:
      return name + " serial";
  }
}

void keep_one_thread_pool() {
  if (threading() != kPthreads) return;
  if (auto* set_threads = in_process<void(int)>("openblas_set_num_threads")) set_threads(1);
}

}  // namespace ra::index
