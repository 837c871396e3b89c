// SPDX-License-Identifier: Apache-2.0
#include "lib/core/error.h"

#include <gtest/gtest.h>

namespace ra {
namespace {

TEST(Error, IsOneLine) {
  const Error full(Exit::kBadData, {.what = "bad tensor",
                                    .file = "m.gguf",
                                    .where = "blk.0.attn_q.weight",
                                    .why = "offset 7, alignment 32",
                                    .hint = "fetch it again"});
  EXPECT_STREQ(full.what(),
               "bad tensor: m.gguf: blk.0.attn_q.weight: offset 7, alignment 32 (fetch it again)");
  EXPECT_EQ(full.code(), Exit::kBadData);
  EXPECT_EQ(full.text().where, "blk.0.attn_q.weight");
  const Error sparse(Exit::kIo,
                     {.what = "cannot read", .file = "", .where = "", .why = "", .hint = ""});
  EXPECT_STREQ(sparse.what(), "cannot read: -: -: -");
  const Error nasty(
      Exit::kBadData,
      {.what = "bad key", .file = "a\nb", .where = "k\x1b[2J", .why = "\xff", .hint = "x\ty"});
  EXPECT_STREQ(nasty.what(), "bad key: a\\x0ab: k\\x1b[2J: \\xff (x\\x09y)");
}

TEST(Error, HelpersThrowWithTheirCode) {
  try {
    fail_usage("--threads", "0 is too few", "use 1 or more");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Exit::kUsage);
    EXPECT_STREQ(e.what(), "usage: -: --threads: 0 is too few (use 1 or more)");
  }
  try {
    fail_bad_data({.what = "w", .file = "", .where = "", .why = "", .hint = ""});
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Exit::kBadData);
  }
}

TEST(Error, EscapesWhatATerminalWouldObey) {
  EXPECT_EQ(escaped("plain caf\u00e9 \u4e2d \U0001f600"), "plain caf\u00e9 \u4e2d \U0001f600");
  EXPECT_EQ(escaped(std::string_view("\0\n\r\x1b\x7f", 5)), "\\x00\\x0a\\x0d\\x1b\\x7f");
  EXPECT_EQ(escaped("a\xc3"), "a\\xc3");
  EXPECT_EQ(escaped("\xed\xa0\x80"), "\\xed\\xa0\\x80");
  EXPECT_EQ(escaped("\u009b2J"), "\\xc2\\x9b2J");                 // CSI in one code point
  EXPECT_EQ(escaped("\u202egpj.exe"), "\\xe2\\x80\\xaegpj.exe");  // right-to-left override
  EXPECT_EQ(escaped("a\u2028b"), "a\\xe2\\x80\\xa8b");            // line separator
}

TEST(ErrorDeathTest, FailedCheckNamesThePlaceAndAborts) {
  EXPECT_DEATH(RA_CHECK(1 + 1 == 3), "internal error: .*error_test.cc:[0-9]+: .*1 \\+ 1 == 3");
  RA_CHECK(true);
}

}  // namespace
}  // namespace ra
