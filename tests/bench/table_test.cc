// SPDX-License-Identifier: Apache-2.0
#include "lib/bench/table.h"

#include <gtest/gtest.h>

#include <cmath>

namespace ra::bench {
namespace {

Table sample() {
  Table t({"<index", "recall"});
  t.add({"hnsw:m=32,ef=8", "0.5"});
  t.add({"a|b", "12.25"});
  return t;
}

TEST(Table, MarkdownLinesUp) {
  EXPECT_EQ(sample().markdown(),
            "| index          | recall |\n"
            "|----------------|-------:|\n"
            "| hnsw:m=32,ef=8 |    0.5 |\n"
            "| a\\|b           |  12.25 |\n");
}

TEST(Table, CsvQuotesWhatNeedsIt) {
  EXPECT_EQ(sample().csv(), "index,recall\n\"hnsw:m=32,ef=8\",0.5\na|b,12.25\n");
  Table t({"<x"});
  t.add({"say \"hi\""});
  EXPECT_EQ(t.csv(), "x\n\"say \"\"hi\"\"\"\n");
}

TEST(Table, RendersByName) {
  EXPECT_EQ(sample().render("md"), sample().markdown());
  EXPECT_EQ(sample().render("csv"), sample().csv());
  EXPECT_EQ(sample().render("none"), "");
}

TEST(Table, WidthCountsCharactersNotBytes) {
  Table t({"<\u00b5s"});
  t.add({"10"});
  EXPECT_EQ(t.markdown(), "| \u00b5s |\n|----|\n| 10 |\n");
}

TEST(ShortNumber, FourSignificantDigits) {
  EXPECT_EQ(short_number(0.95123), "0.9512");
  EXPECT_EQ(short_number(12.345678), "12.35");
  EXPECT_EQ(short_number(1234.56), "1235");
  EXPECT_EQ(short_number(-3.5), "-3.500");
  EXPECT_EQ(short_number(0), "0");
  EXPECT_EQ(short_number(0.000012), "1.20e-05");
  EXPECT_EQ(short_number(std::nan("")), "-");
}

}  // namespace
}  // namespace ra::bench
