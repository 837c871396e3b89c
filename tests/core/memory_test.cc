// SPDX-License-Identifier: Apache-2.0
#include "lib/core/memory.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "lib/core/error.h"
#include "tests/support/temp_folder.h"

namespace ra {
namespace {

namespace fs = std::filesystem;
using testing::TempFolder;
using testing::write_text;

class MemoryTest : public ::testing::Test {
 protected:
  MemoryTest() {
    fs::create_directories(folder_ / "proc/self");
    write_text(folder_ / "proc/meminfo",
               "MemTotal:       2000 kB\nMemFree:         100 kB\nMemAvailable:   1000 kB\n");
  }
  void group(const std::string& path, const char* file, const char* value) {
    fs::create_directories(folder_.path() / "cgroup" / path);
    write_text(folder_.path() / "cgroup" / path / file, value);
  }
  TempFolder folder_;
  const MemorySources sources_{folder_ / "proc", folder_ / "cgroup"};
};

TEST_F(MemoryTest, MemAvailableWithoutGroups) {
  EXPECT_EQ(available_memory(sources_), 1000u * 1024);
  EXPECT_EQ(memory_limit("", sources_), 1000u * 1024 / 10 * 9);
  EXPECT_EQ(memory_limit("3MiB", sources_), 3u << 20);
}

TEST_F(MemoryTest, LeastLimitOfTheGroupAndItsParents) {
  write_text(folder_ / "proc/self/cgroup", "0::/a/b\n");
  group("a/b", "memory.max", "max\n");
  EXPECT_EQ(available_memory(sources_), 1000u * 1024);
  group("a", "memory.max", "4096\n");
  EXPECT_EQ(available_memory(sources_), 4096u);
  group("a/b", "memory.max", "2048\n");
  EXPECT_EQ(available_memory(sources_), 2048u);
}

TEST_F(MemoryTest, VersionOneGroups) {
  write_text(folder_ / "proc/self/cgroup", "3:cpu,cpuacct:/x\n2:memory:/job\n");
  group("memory/job", "memory.limit_in_bytes", "8192\n");
  EXPECT_EQ(available_memory(sources_), 8192u);
}

TEST_F(MemoryTest, ThisMachineHasSome) { EXPECT_GT(available_memory(), 1u << 20); }

TEST(MemoryPlanTest, OverTheLimitNamesBothNumbersAndTheLargest) {
  const std::vector<MemoryNeed> needs{{"weights", 100}, {"KV cache", 300}};
  EXPECT_NO_THROW(check_memory(needs, 400));
  try {
    check_memory(needs, 399);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Exit::kNoMemory);
    EXPECT_NE(e.text().why.find("requires 400 bytes (300 of them KV cache), 399 available"),
              std::string::npos)
        << e.what();
  }
}

TEST(MemoryPlanTest, SumSaturates) {
  const std::vector<MemoryNeed> needs{{"a", UINT64_MAX - 1}, {"b", 5}};
  EXPECT_EQ(total_bytes(needs), UINT64_MAX);
}

TEST(PeakRss, CountsWhatWasTouched) {
  const std::int64_t before = peak_rss_bytes();
  std::vector<char> block(std::size_t{64} << 20, 1);
  EXPECT_EQ(block.back(), 1);
  EXPECT_GE(peak_rss_bytes(), before);
  EXPECT_GE(peak_rss_bytes(), std::int64_t{64} << 20);
}

}  // namespace
}  // namespace ra
