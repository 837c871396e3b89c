// SPDX-License-Identifier: Apache-2.0
#include "lib/index/faiss_blas.h"

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/index/synthetic.h"

namespace ra::index {
namespace {

TEST(FaissBlas, SaysWhichOneItIs) {
  const std::string text = blas_description();
  if (::dlsym(RTLD_DEFAULT, "openblas_get_config") == nullptr) {
    EXPECT_EQ(text, "unknown");
    return;
  }
  EXPECT_TRUE(text.starts_with("OpenBLAS 0.") || text.starts_with("OpenBLAS 1.")) << text;
  const std::string kind = text.substr(text.find(' ', text.find(' ') + 1) + 1);
  EXPECT_TRUE(kind == "openmp" || kind == "serial" || kind == "pthread, held to 1 thread") << text;
}

TEST(FaissBlas, APoolOfItsOwnIsHeldToOneThreadBeforeCellsAreBuilt) {
  if (blas_description().find("pthread") == std::string::npos)
    GTEST_SKIP() << blas_description() << " has no pool of its own";
  const auto symbol = [](const char* name) { return ::dlsym(RTLD_DEFAULT, name); };
  auto* set_threads = reinterpret_cast<void (*)(int)>(symbol("openblas_set_num_threads"));
  auto* get_threads = reinterpret_cast<int (*)()>(symbol("openblas_get_num_threads"));
  ASSERT_TRUE(set_threads != nullptr && get_threads != nullptr);
  set_threads(2);
  keep_one_thread_pool();
  EXPECT_EQ(get_threads(), 1);
  set_threads(2);
  testing::build("ivf:lists=4", testing::gaussian(100, 8, 1).view());
  EXPECT_EQ(get_threads(), 1);
}

}  // namespace
}  // namespace ra::index
