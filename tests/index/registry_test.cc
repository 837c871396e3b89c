// SPDX-License-Identifier: Apache-2.0
#include "lib/index/registry.h"

#include <gtest/gtest.h>

#include <limits>

#include "lib/core/error.h"
#include "tests/index/synthetic.h"

namespace ra::index {
namespace {

template <class F>
Error error_of(F&& f) {
  try {
    f();
  } catch (const Error& e) {
    return e;
  }
  ADD_FAILURE() << "no error";
  return Error(Exit::kOk, {});
}

TEST(RegistryTest, EveryDefaultIsInsideItsOwnRange) {
  for (const IndexType& type : index_types()) {
    const IndexSpec spec = testing::spec_of(std::string(type.name));
    EXPECT_EQ(spec.type, &find_index_type(type.name));
    EXPECT_FALSE(type.help.empty());
    ASSERT_EQ(spec.efforts.size(), 1u);
    EXPECT_TRUE(spec.efforts[0] == 0 || (spec.efforts[0] > 0 && !type.effort_key.empty()));
    for (const ParamInfo& p : type.params) {
      EXPECT_FALSE(p.help.empty()) << p.key;
      EXPECT_EQ(p.search, p.key == type.effort_key) << p.key;
    }
  }
}

TEST(RegistryTest, KnowsFlatAndRoarInEveryBuild) {
  EXPECT_EQ(index_types().front().name, "flat");
  EXPECT_TRUE(find_index_type("roar").query_aware);
}

TEST(RegistryTest, UnknownNamesAndKeysListTheKnownOnes) {
  const Error name = error_of([] { testing::spec_of("roor"); });
  EXPECT_EQ(name.code(), Exit::kUsage);
  EXPECT_NE(std::string(name.what()).find("flat"), std::string::npos);
  const Error key = error_of([] { testing::spec_of("roar:mm=3"); });
  EXPECT_EQ(key.code(), Exit::kUsage);
  EXPECT_NE(std::string(key.what()).find("metric"), std::string::npos);
  EXPECT_EQ(error_of([] { testing::spec_of("flat:m=3"); }).code(), Exit::kUsage);
}

TEST(RegistryTest, RefusesValuesBeforeAnyWork) {
  for (const char* text : {"roar:m=0", "roar:m=x", "roar:m=8/16", "roar:metric=l2", "roar:ef=0",
                           "roar:ef=10/0", "roar:pool=2", "roar:share=all"})
    EXPECT_EQ(error_of([&] { testing::spec_of(text); }).code(), Exit::kUsage) << text;
}

TEST(RegistryTest, SweepsTheEffortKey) {
  const IndexSpec spec = testing::spec_of("roar:metric=raw,ef=10/50/100,m=16,share=head");
  EXPECT_EQ(spec.efforts, (std::vector<int>{10, 50, 100}));
  EXPECT_EQ(spec.build_text(), "roar:m=16,metric=raw,share=head");
  EXPECT_FALSE(spec.share_group);
  EXPECT_TRUE(testing::spec_of("roar").share_group);
}

TEST(RegistryTest, SaysWhichSpecsNeedTrainingQueries) {
  EXPECT_TRUE(testing::spec_of("roar:metric=raw").needs_queries);
  EXPECT_FALSE(testing::spec_of("flat").needs_queries);
  const auto keys = testing::gaussian(10, 4, 1);
  const Error e = error_of([&] { testing::build("roar", keys.view()); });
  EXPECT_EQ(e.code(), Exit::kBadData);
}

TEST(RegistryTest, RefusesEmptyAndNonFiniteInput) {
  auto keys = testing::gaussian(10, 4, 1);
  EXPECT_EQ(error_of([&] { testing::build("flat", keys.view().row_range(0, 0)); }).code(),
            Exit::kBadData);
  keys.row(7)[2] = std::numeric_limits<float>::quiet_NaN();
  const Error e = error_of([&] { testing::build("flat", keys.view()); });
  EXPECT_EQ(e.code(), Exit::kBadData);
  EXPECT_NE(std::string(e.what()).find("row 7 element 2"), std::string::npos);
  keys.row(7)[2] = 3e38f;  // large but finite, and its row's sum overflows
  keys.row(7)[3] = 3e38f;
  EXPECT_NO_THROW(testing::build("flat", keys.view()));
}

}  // namespace
}  // namespace ra::index
