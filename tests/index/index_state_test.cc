// SPDX-License-Identifier: Apache-2.0
#include "lib/index/index_state.h"

#include <gtest/gtest.h>

#include <functional>

#include "lib/core/error.h"

namespace ra::index {
namespace {

ErrorText refused(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Exit::kBadData);
    return e.text();
  }
  ADD_FAILURE() << "was taken";
  return {};
}

TEST(IndexStateTest, GivesArraysAndNamesWhatIsWrong) {
  IndexState state;
  state.arrays["links"] = {2, 0, 7};
  EXPECT_EQ(state.array("links").size(), 3u);
  EXPECT_EQ(state.array("links", 3)[2], 7u);
  EXPECT_EQ(state.ids("links", 8)[0], 2u);
  EXPECT_EQ(refused([&] { (void)state.array("entries"); }).where, "entries");
  EXPECT_EQ(refused([&] { (void)state.array("links", 4); }).why, "3 elements, 4 expected");
  EXPECT_EQ(refused([&] { (void)state.ids("links", 7); }).why, "element 2 is 7, not below 7");
}

TEST(IndexStateTest, FloatsComeBackAndOthersAreRefused) {
  IndexState state;
  const float values[] = {1.5f, -0.0f, -2e-30f};
  state.put_floats("spread", values);
  EXPECT_EQ(state.floats("spread", 3), (std::vector<float>{1.5f, 0, -2e-30f}));
  EXPECT_EQ(refused([&] { (void)state.floats("spread", 2); }).where, "spread");
  for (const std::uint32_t bits : {0x80000000u, 0x7f800000u, 0xffc00000u}) {
    state.arrays["spread"][1] = bits;
    EXPECT_EQ(refused([&] { (void)state.floats("spread", 3); }).where, "spread") << bits;
  }
}

}  // namespace
}  // namespace ra::index
