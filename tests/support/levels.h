// SPDX-License-Identifier: Apache-2.0
// Test suites that run once per instruction-set level. A level that this CPU lacks is skipped
// aloud; RA_REQUIRE_LEVEL=<level> makes a skip of that level or a lower one a failure, so that
// "passed" never means "only scalar ran".
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <optional>
#include <string>

#include "kernels/level.h"
#include "kernels/ops.h"

namespace ra::testing {

inline std::optional<kernels::Level> required_level() {
  const char* text = std::getenv("RA_REQUIRE_LEVEL");
  if (text == nullptr) return std::nullopt;
  const auto level = kernels::parse_level(text);
  if (!level) ADD_FAILURE() << "RA_REQUIRE_LEVEL=" << text << " is no level";
  return level;
}

// Suites derive from it: `class DotTest : public LevelTest {}; RA_INSTANTIATE_LEVELS(DotTest);`
class LevelTest : public ::testing::TestWithParam<kernels::Level> {
 protected:
  void SetUp() override {
    if (kernels::cpu_has(level())) return;
    const auto required = required_level();
    if (required && level() <= *required)
      FAIL() << "RA_REQUIRE_LEVEL: this CPU lacks level " << kernels::level_name(level());
    GTEST_SKIP() << "this CPU lacks level " << kernels::level_name(level());
  }

  kernels::Level level() const { return GetParam(); }
  const kernels::OpTable& table() const { return kernels::table_for(level()); }
};

inline std::string level_test_name(const ::testing::TestParamInfo<kernels::Level>& param) {
  return std::string(kernels::level_name(param.param));
}

inline const kernels::OpTable& scalar_table() {
  return kernels::table_for(kernels::Level::kScalar);
}

}  // namespace ra::testing

#define RA_INSTANTIATE_LEVELS(suite)                                                    \
  INSTANTIATE_TEST_SUITE_P(Levels, suite, ::testing::ValuesIn(ra::kernels::kAllLevels), \
                           ra::testing::level_test_name)
