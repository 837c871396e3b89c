// SPDX-License-Identifier: Apache-2.0
#include "lib/core/parallel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <numeric>
#include <stdexcept>
#include <thread>
#include <vector>

namespace ra {
namespace {

class Parallel : public testing::Test {
 protected:
  void SetUp() override { set_threads(4); }
  void TearDown() override { set_threads(0); }
};

TEST_F(Parallel, ThreadCounts) {
  EXPECT_GE(default_threads(), 1);
  EXPECT_EQ(threads(), 4);
  set_threads(1);
  EXPECT_EQ(threads(), 1);
  set_threads(0);
  EXPECT_EQ(threads(), default_threads());
  set_threads(-3);
  EXPECT_EQ(threads(), default_threads());
}

TEST_F(Parallel, EachItemOnceByAThreadOfThePool) {
  for (const std::size_t n : {0, 1, 2, 3, 4, 5, 1000}) {
    std::vector<std::atomic<int>> seen(n);
    std::atomic<bool> in_range{true};
    parallel_for(n, [&](std::size_t i, int thread) {
      ++seen[i];
      if (thread < 0 || thread >= 4) in_range = false;
    });
    EXPECT_TRUE(in_range);
    for (const auto& count : seen) EXPECT_EQ(count, 1);
  }
}

TEST_F(Parallel, AThreadNumberIsNeverInUseTwice) {
  std::vector<std::atomic<int>> users(4);
  std::atomic<bool> clash{false};
  parallel_for(2000, [&](std::size_t, int thread) {
    if (users[static_cast<std::size_t>(thread)]++ != 0) clash = true;
    users[static_cast<std::size_t>(thread)]--;
  });
  EXPECT_FALSE(clash);
}

TEST_F(Parallel, NestedLoopsRunSeriallyOnThreadZero) {
  std::atomic<int> items{0};
  std::atomic<bool> thread_zero{true};
  parallel_for(8, [&](std::size_t, int) {
    std::size_t expected = 0;
    parallel_for(5, [&](std::size_t i, int thread) {
      if (thread != 0 || i != expected++) thread_zero = false;
      ++items;
    });
  });
  EXPECT_EQ(items, 40);
  EXPECT_TRUE(thread_zero);
}

TEST_F(Parallel, RethrowsAndStopsHandingOutItems) {
  constexpr std::size_t kItems = 20'000;  // two seconds, if nothing stopped them
  std::atomic<std::size_t> ran{0};
  EXPECT_THROW(parallel_for(kItems,
                            [&](std::size_t i, int) {
                              ++ran;
                              if (i == 3) throw std::runtime_error("item 3");
                              std::this_thread::sleep_for(std::chrono::microseconds(400));
                            }),
               std::runtime_error);
  EXPECT_LT(ran, kItems);
  // The pool is whole again, at the same width.
  std::atomic<int> items{0};
  parallel_for(100, [&](std::size_t, int) { ++items; });
  EXPECT_EQ(items, 100);
}

TEST_F(Parallel, OneThreadRunsInOrder) {
  set_threads(1);
  std::vector<std::size_t> order, expected(50);
  std::iota(expected.begin(), expected.end(), std::size_t{0});
  parallel_for(50, [&](std::size_t i, int) { order.push_back(i); });
  EXPECT_EQ(order, expected);
  EXPECT_THROW(parallel_for(2, [](std::size_t, int) { throw std::runtime_error("x"); }),
               std::runtime_error);
}

}  // namespace
}  // namespace ra
