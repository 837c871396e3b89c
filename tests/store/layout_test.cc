// SPDX-License-Identifier: Apache-2.0
#include "lib/store/layout.h"

#include <gtest/gtest.h>

#include "tests/store/sample_dump.h"

namespace ra::store {
namespace {

TEST(LayoutTest, NamesAndShapes) {
  DumpInfo info = testing::sample_dump().info;
  EXPECT_EQ(vector_path(info, 7, Kind::kQ), "/layers/07/q");
  EXPECT_EQ(layer_path(info, 12), "/layers/12");
  info.n_layers = 100;
  EXPECT_EQ(layer_name(info, 99), "99");
  info.n_layers = 101;
  EXPECT_EQ(layer_name(info, 7), "007");
  EXPECT_EQ(shape_of(info, Kind::kQ).heads, 4);
  EXPECT_EQ(shape_of(info, Kind::kK).heads, 2);
  EXPECT_EQ(shape_of(info, Kind::kV).width, 6);
}

TEST(LayoutTest, QueryRowsOfARange) {
  DumpInfo info = testing::sample_dump().info;
  info.q_pos = {1, 4, 7, 40, 41};
  EXPECT_EQ(query_rows(info, 0, 50), std::pair(std::int64_t{0}, std::int64_t{5}));
  EXPECT_EQ(query_rows(info, 1, 7), std::pair(std::int64_t{0}, std::int64_t{2}));
  EXPECT_EQ(rows_of(info, {0, 4, 8, 40}, Kind::kQ), 0);
  EXPECT_EQ(rows_of(info, {0, 4, 8, 40}, Kind::kV), 32);
}

TEST(LayoutTest, BytesAreTheDocumentedSum) {
  const DumpInfo info = testing::sample_dump(DType::kF32).info;
  EXPECT_EQ(vector_bytes(info, 3, 50, 23), 3u * (2 * 50 * (8 + 6) + 4 * 23 * 8) * 4);
}

TEST(LayoutTest, ConfigHashSeesEveryOption) {
  const testing::Sample s = testing::sample_dump();
  const WriterOptions plain{.out = "a"};
  const std::string hash = config_sha256(s.info, plain);
  WriterOptions o = plain;
  o.out = "b";  // where it goes and how it is cut does not matter
  o.part_bytes = 1;
  EXPECT_EQ(config_sha256(s.info, o), hash);
  const auto differs = [&](auto change) {
    DumpInfo info = s.info;
    WriterOptions options = plain;
    change(info, options);
    return config_sha256(info, options) != hash;
  };
  EXPECT_TRUE(differs([](DumpInfo& i, auto&) { i.seed = 8; }));
  EXPECT_TRUE(differs([](DumpInfo& i, auto&) { i.q_pos.pop_back(); }));
  EXPECT_TRUE(differs([](DumpInfo& i, auto&) { i.rope_base = 1; }));
  EXPECT_TRUE(differs([](DumpInfo& i, auto&) { i.scale = 1; }));
  EXPECT_TRUE(differs([](DumpInfo& i, auto&) { i.n_prefill = 39; }));
  EXPECT_TRUE(differs([](auto&, WriterOptions& w) { w.gzip = 1; }));
  EXPECT_TRUE(differs([](auto&, WriterOptions& w) { w.allow_saturate = true; }));
  EXPECT_TRUE(differs([](auto&, WriterOptions& w) { w.run_key = "compute=f32"; }));
}

}  // namespace
}  // namespace ra::store
