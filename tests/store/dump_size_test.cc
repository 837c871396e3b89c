// SPDX-License-Identifier: Apache-2.0

#include <gtest/gtest.h>

#include "tests/store/store_fixture.h"

namespace ra::store {
namespace {

using namespace testing;  // the fixture and the sample

class DumpSizeTest : public StoreTest {};

TEST_F(DumpSizeTest, SizeIsBoundedByTheEstimate) {
  Sample s = sample_dump();
  for (const std::int64_t n : {50, 900, 4099}) {
    s.info.n_tokens = n;
    s.ids.resize(static_cast<std::size_t>(n));
    s.nll.clear();
    write_sample(s, {.out = out_, .force = true});
    EXPECT_LE(fs::file_size(out_), dump_bytes(s.info)) << n;
    if (n > 4000) {
      EXPECT_GE(static_cast<double>(fs::file_size(out_)),
                0.85 * static_cast<double>(dump_bytes(s.info)));
    }
  }
}

TEST(WriterMemoryTest, FollowsTheOpenPart) {
  const Sample s = sample_dump();
  WriterOptions options{.out = "x", .part_bytes = 1 << 20, .append_rows = 8};
  const std::uint64_t all = writer_memory(s.info, options);
  options.part_bytes = 6000;
  const std::uint64_t some = writer_memory(s.info, options);
  // 3 layers: 40 prompt tokens with at most the 23 kept queries, against parts of 16 tokens.
  EXPECT_EQ(all - some,
            3u * 2 * 40 * (2 * (8 + 6)) + 3u * 2 * 23 * 4 * 8 - 3u * 2 * 16 * (2 * 14 + 4 * 8));
}

}  // namespace
}  // namespace ra::store
