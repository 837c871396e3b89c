// SPDX-License-Identifier: Apache-2.0
#include "kernels/level.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "kernels/ops.h"
#include "tests/support/levels.h"

namespace ra::kernels {
namespace {

class LevelsTest : public testing::LevelTest {
 protected:
  void TearDown() override { set_active_level(before_); }

 private:
  Level before_ = active_level();
};
RA_INSTANTIATE_LEVELS(LevelsTest);

TEST_P(LevelsTest, ForcedLevelIsInUse) {
  set_active_level(level());
  EXPECT_EQ(active_level(), level());
  EXPECT_EQ(&ops(), &table_for(level()));
  EXPECT_EQ(ops().level, level());
}

// The environment is read once per process, so each case runs in a fresh one.
class LevelDeathTest : public testing::LevelTest {
 protected:
  void SetUp() override {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    LevelTest::SetUp();
  }
};
RA_INSTANTIATE_LEVELS(LevelDeathTest);

[[noreturn]] void exit_with(bool good) { std::exit(good ? 0 : 1); }

TEST_P(LevelDeathTest, EnvironmentForcesTheLevel) {
  EXPECT_EXIT(
      {
        setenv("RA_CPU_LEVEL", std::string(level_name(level())).c_str(), 1);
        exit_with(active_level() == level() && !active_level_error() && ops().level == level());
      },
      ::testing::ExitedWithCode(0), "");
}

TEST(LevelDeathTest, UnknownLevelIsReportedAndTheBestIsUsed) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        setenv("RA_CPU_LEVEL", "sse9", 1);
        exit_with(active_level() == best_level() && active_level_error().has_value() &&
                  active_level_error()->find("sse9") != std::string::npos);
      },
      ::testing::ExitedWithCode(0), "");
}

TEST(Level, NamesParseBack) {
  for (const Level level : kAllLevels) EXPECT_EQ(parse_level(level_name(level)), level);
  EXPECT_FALSE(parse_level("AVX2"));
  EXPECT_FALSE(parse_level(""));
}

TEST(Level, EachLevelIncludesTheLowerOnes) {
  EXPECT_TRUE(cpu_has(Level::kScalar));
  for (const Level level : kAllLevels)
    if (level <= best_level()) {
      EXPECT_TRUE(cpu_has(level)) << level_name(level);
    }
}

TEST(Level, FeaturesNameWhatTheBestLevelNeeds) {
  const std::string features = cpu_features();
  if (cpu_has(Level::kAvx2)) {
    EXPECT_NE(features.find("avx2,fma,f16c"), std::string::npos) << features;
  }
  if (cpu_has(Level::kAvx512)) {
    EXPECT_NE(features.find("avx512_vnni"), std::string::npos) << features;
  }
}

}  // namespace
}  // namespace ra::kernels
