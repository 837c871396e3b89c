// SPDX-License-Identifier: Apache-2.0
#include "lib/core/huge_pages.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>

#include "lib/core/matrix.h"

namespace ra {
namespace {

// VmFlags of the mapping that holds `p`, "" if the kernel shows none.
std::string flags_at(const void* p) {
  std::ifstream maps("/proc/self/smaps");
  bool inside = false;
  for (std::string line; std::getline(maps, line);) {
    std::size_t dash = 0;
    if (line.starts_with("VmFlags:")) {
      if (inside) return line + " ";
    } else if ((dash = line.find('-')) != std::string::npos && dash < line.find(' ')) {
      const auto address = reinterpret_cast<std::uintptr_t>(p);
      inside = address >= std::stoull(line, nullptr, 16) &&
               address < std::stoull(line.substr(dash + 1), nullptr, 16);
    }
  }
  return "";
}

TEST(HugePages, TheMappingIsMarkedAndKeepsItsBytes) {
  AlignedBuffer<char> memory(std::size_t{8} << 20);
  memory.data()[0] = 1;
  memory.data()[memory.size() - 1] = 2;
  char* middle = memory.data() + memory.size() / 2;
  prefer_huge_pages(memory.data(), memory.size());
  EXPECT_EQ(memory.data()[0], 1);
  EXPECT_EQ(memory.data()[memory.size() - 1], 2);
  if (!std::filesystem::exists("/sys/kernel/mm/transparent_hugepage"))
    GTEST_SKIP() << "the kernel has no transparent huge pages";
  EXPECT_NE(flags_at(middle).find(" hg "), std::string::npos) << flags_at(middle);
}

TEST(HugePages, LessThanAPageIsLeftAlone) {
  char few[16] = {7};
  prefer_huge_pages(few, sizeof few);
  prefer_huge_pages(few, 0);
  EXPECT_EQ(few[0], 7);
}

}  // namespace
}  // namespace ra
