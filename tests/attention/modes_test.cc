// SPDX-License-Identifier: Apache-2.0
#include "lib/attention/modes.h"

#include <gtest/gtest.h>

#include <set>

#include "lib/core/error.h"

namespace ra::attention {
namespace {

TEST(Modes, AreDistinctAndTheirDefaultIndexesAreValid) {
  std::set<std::string_view> names;
  for (const Mode& mode : modes()) {
    EXPECT_TRUE(names.insert(mode.name).second) << mode.name;
    EXPECT_FALSE(mode.help.empty());
    if (mode.index.empty()) continue;
    EXPECT_NO_THROW(index::check_index_spec(parse_specs(mode.index).front())) << mode.name;
  }
}

// A baseline that loses by its metric proves nothing about queries and keys.
TEST(Modes, TheGraphBaselineIsLifted) {
  const auto spec = parse_specs(find_mode("hnsw").index).front();
  EXPECT_EQ(spec.params.at("metric"), "lift");
}

TEST(Modes, UnknownNamesAreRefusedWithTheKnownOnes) {
  EXPECT_EQ(find_mode("full").name, "full");
  try {
    find_mode("fast");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Exit::kUsage);
    EXPECT_NE(std::string(e.what()).find("retrieval"), std::string::npos);
  }
}

}  // namespace
}  // namespace ra::attention
