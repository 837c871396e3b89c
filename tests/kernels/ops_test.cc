// SPDX-License-Identifier: Apache-2.0
#include "kernels/ops.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstring>

namespace ra::kernels {
namespace {

TEST(Ops, EachLevelHasItsTable) {
  for (const Level level : kAllLevels) EXPECT_EQ(table_for(level).level, level);
}

// OpTable holds a level and function pointers only: no level may leave one out, but the two of
// packed bf16 rows.
TEST(Ops, NoTableHasAHole) {
  constexpr std::size_t kFirst = sizeof(void*);  // the level, padded
  for (const Level level : kAllLevels) {
    const auto* bytes = reinterpret_cast<const char*>(&table_for(level));
    for (std::size_t at = kFirst; at < sizeof(OpTable); at += sizeof(void*)) {
      if (at == offsetof(OpTable, gemm_pack) || at == offsetof(OpTable, gemm_gated)) continue;
      const void* op = nullptr;
      std::memcpy(&op, bytes + at, sizeof op);
      EXPECT_NE(op, nullptr) << level_name(level) << ", op " << (at - kFirst) / sizeof(void*);
    }
  }
}

}  // namespace
}  // namespace ra::kernels
