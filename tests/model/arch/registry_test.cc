// SPDX-License-Identifier: Apache-2.0
#include "lib/model/arch/registry.h"

#include <gtest/gtest.h>

#include <set>

namespace ra::model {
namespace {

TEST(ArchRegistry, FindsEveryRowByItsName) {
  std::set<std::string_view> names;
  for (const Architecture* a : architectures()) {
    EXPECT_FALSE(a->name.empty());
    EXPECT_TRUE(names.insert(a->name).second) << a->name << " twice";
    EXPECT_EQ(find_architecture(a->name), a);
  }
  EXPECT_EQ(find_architecture("mamba"), nullptr);
  EXPECT_EQ(find_architecture(""), nullptr);
}

TEST(ArchRegistry, NamesAreListedForMessages) {
  EXPECT_EQ(architecture_names(), "llama, qwen2, qwen3, gemma3, phi3");
}

}  // namespace
}  // namespace ra::model
