// SPDX-License-Identifier: Apache-2.0
#include "kernels/amx_support.h"

#include <gtest/gtest.h>

#include <string>

#include "kernels/level.h"

namespace ra::kernels {
namespace {

TEST(AmxSupport, IsWhatTheListOfFeaturesSays) {
  const std::string features = ',' + cpu_features() + ',';
  const auto lists = [&](const char* name) { return features.find(name) != std::string::npos; };
  EXPECT_EQ(amx_support().tile, lists(",amx_tile,"));
  EXPECT_EQ(amx_support().bf16, lists(",amx_bf16,"));
  EXPECT_EQ(amx_support().int8, lists(",amx_int8,"));
}

TEST(AmxSupport, TheLevelNeedsAllOfItAndTiles) {
  EXPECT_EQ(cpu_has(Level::kAmx),
            cpu_has(Level::kAvx512) && amx_support().all() && request_tiles());
  // Asking again is no harm.
  if (cpu_has(Level::kAmx)) {
    EXPECT_TRUE(request_tiles());
  }
}

}  // namespace
}  // namespace ra::kernels
