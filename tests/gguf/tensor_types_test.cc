// SPDX-License-Identifier: Apache-2.0
#include "lib/gguf/tensor_types.h"

#include <gtest/gtest.h>

#include "kernels/quant.h"

namespace ra::gguf {
namespace {

TEST(TensorTypesTest, NamesWhyATypeIsRefused) {
  EXPECT_EQ(refusal(17), "type IQ2_XS (id 17) is not supported");
  EXPECT_EQ(refusal(4), "type Q4_2 (id 4) was removed from GGUF");
  EXPECT_EQ(refusal(15), "type Q8_K (id 15) exists in memory only, never in a file");
  EXPECT_EQ(refusal(43), "type id 43 is unknown");
  EXPECT_EQ(refusal(0xffffffffu), "type id 4294967295 is unknown");
}

TEST(TensorTypesTest, EveryIdUpToTheNewestIsReadOrNamed) {
  for (std::uint32_t id = 0; id <= 42; ++id) {
    if (kernels::find_quant(id)) continue;
    EXPECT_EQ(refusal(id).find("unknown"), std::string::npos) << id;
  }
}

TEST(TensorTypesTest, ListsWhatCanBeRead) {
  EXPECT_EQ(supported_types().substr(0, 3), "F32");
  EXPECT_NE(supported_types().find(", Q6_K"), std::string::npos);
}

}  // namespace
}  // namespace ra::gguf
