// SPDX-License-Identifier: Apache-2.0
#include "lib/store/manifest.h"

#include <gtest/gtest.h>

#include "lib/core/error.h"
#include "tests/store/sample_dump.h"
#include "tests/support/temp_folder.h"

namespace ra::store {
namespace {

using ra::testing::TempFolder;
using ra::testing::write_text;

PartEntry entry() {
  PartEntry e{.bytes = 10,
              .sha256 = "aa",
              .range = {0, 30, 1024, 2048},
              .config_sha256 = "bb",
              .grid = {1024, 7, 30}};
  e.part = part_name(e.range);
  return e;
}

TEST(ManifestTest, RoundTripAndTornLine) {
  const TempFolder folder;
  EXPECT_TRUE(read_manifest(folder.path()).empty());
  EXPECT_EQ(entry().part, "000-029_0000001024.h5");
  write_text(manifest_file(folder.path()),
             to_line(entry()) + "\n" + to_line(entry()).substr(0, 50));
  const auto back = read_manifest(folder.path());
  ASSERT_EQ(back.size(), 1u);
  EXPECT_EQ(to_line(back[0]), to_line(entry()));
}

TEST(ManifestTest, BadLinesAreNamed) {
  const TempFolder folder;
  const std::string good = to_line(entry()) + "\n";
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string line = good;
    return line.replace(line.find(from), from.size(), to);
  };
  for (const std::string& bad :
       {std::string("{}\n"), std::string("\n"), std::string("[1]\n"),
        with("1024,2048", "2048,1024"), with("000-029_", "../029_"),
        with("\"bytes\":10", "\"bytes\":-1"), with("\"bytes\":10", "\"bytes\":1.5"),
        with("[0,30]", "[0,99999999999]"), with("[0,30]", "[0]"), with("[1024,7,30]", "[0,7,30]"),
        with("{", std::string(5000, '['))}) {
    write_text(manifest_file(folder.path()), good + bad);
    try {
      read_manifest(folder.path());
      ADD_FAILURE() << bad;
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), Exit::kBadData);
      EXPECT_EQ(e.text().where, "line 2");
    }
  }
}

TEST(ManifestTest, PartNames) {
  EXPECT_TRUE(is_part_name("000-029_0000001024.h5"));
  for (const char* no : {"manifest.jsonl", "x.h5", "000.h5.bak", "a000-029_0000001024.h5"})
    EXPECT_FALSE(is_part_name(no)) << no;
}

TEST(GridTest, OnePartIfItFits) {
  const auto s = testing::sample_dump();
  const Grid grid = choose_grid(s.info, {.part_bytes = 1 << 20, .append_rows = 8});
  EXPECT_EQ(grid.layers, 3);
  EXPECT_EQ(grid.next_cut(s.info, 0), 40);  // the prompt's end is always a cut
  EXPECT_EQ(grid.next_cut(s.info, 40), 50);
}

TEST(GridTest, CutsAtAppendsAndBoundsEveryPart) {
  const auto s = testing::sample_dump();
  for (std::uint64_t bytes = 500; bytes < 20000; bytes += 500) {
    const WriterOptions options{.part_bytes = bytes, .append_rows = 8};
    const Grid grid = choose_grid(s.info, options);
    EXPECT_EQ(grid.tokens % 8, 0);
    for (std::int64_t pos = 0; pos < 50; pos = grid.next_cut(s.info, pos)) {
      const std::int64_t n = grid.next_cut(s.info, pos) - pos;
      ASSERT_GT(n, 0);
      const std::int64_t layers = pos < 40 ? grid.layers : 3;
      if (pos < 40) {
        EXPECT_EQ(pos % 8, 0);
      }
      if (layers > 1 && n > 1) {
        EXPECT_LE(vector_bytes(s.info, layers, n, rows_of(s.info, {0, 4, pos, pos + n}, Kind::kQ)),
                  bytes);
      }
    }
  }
}

}  // namespace
}  // namespace ra::store
