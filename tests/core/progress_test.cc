// SPDX-License-Identifier: Apache-2.0
#include "lib/core/progress.h"

#include <gtest/gtest.h>

#include <string>

namespace ra {
namespace {

// stderr of a test is no terminal, so lines end in '\n' and are not redrawn.
std::string output(ProgressMode mode, std::uint64_t total) {
  set_progress_mode(mode);
  testing::internal::CaptureStderr();
  {
    Progress progress("prefill", total, "tokens");
    progress.update(0);
    progress.update(total / 2, "layer 3");  // within the interval: not drawn
    progress.update(total, "done");
  }
  set_progress_mode(ProgressMode::kAuto);
  return testing::internal::GetCapturedStderr();
}

TEST(Progress, QuietWithoutATerminalUnlessAskedFor) {
  EXPECT_EQ(output(ProgressMode::kNever, 100), "");
  EXPECT_EQ(output(ProgressMode::kAuto, 100), "");
}

TEST(Progress, DrawsTheFirstAndTheLastStep) {
  const std::string text = output(ProgressMode::kAlways, 100);
  EXPECT_NE(text.find("prefill [........................]   0% 0/100 tokens"), std::string::npos)
      << text;
  EXPECT_EQ(text.find("50%"), std::string::npos) << text;
  EXPECT_NE(text.find("prefill [########################] 100% 100/100 tokens"), std::string::npos)
      << text;
  EXPECT_NE(text.find("0:00 left  done\n"), std::string::npos) << text;
  EXPECT_EQ(text.find('\r'), std::string::npos);
}

TEST(Progress, SurvivesOddTotals) {
  EXPECT_NE(output(ProgressMode::kAlways, 0).find("0% 0/1 tokens"), std::string::npos);
  set_progress_mode(ProgressMode::kAlways);
  testing::internal::CaptureStderr();
  Progress("x", 2, "y").update(5);  // more than the total: full, not beyond
  const std::string text = testing::internal::GetCapturedStderr();
  set_progress_mode(ProgressMode::kAuto);
  EXPECT_NE(text.find("100% 2/2 y"), std::string::npos) << text;
}

}  // namespace
}  // namespace ra
