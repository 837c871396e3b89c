// SPDX-License-Identifier: Apache-2.0
#include "lib/gguf/split.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstring>

#include "lib/core/hash.h"
#include "tests/gguf/tiny_file.h"
#include "tests/support/temp_folder.h"

namespace ra::gguf {
namespace {

using ra::testing::TempFolder;

TEST(SplitNameTest, ParsesWhatSplittersWrite) {
  const auto name = parse_split_name("my-model-00002-of-00012.gguf");
  ASSERT_TRUE(name);
  EXPECT_EQ(name->stem, "my-model");
  EXPECT_EQ(name->number, 2);
  EXPECT_EQ(name->count, 12);
  EXPECT_EQ(name->part(12), "my-model-00012-of-00012.gguf");
}

TEST(SplitNameTest, IgnoresOtherNames) {
  for (const char* name :
       {"model.gguf", "-00001-of-00002.gguf", "m-00003-of-00002.gguf", "m-00000-of-00002.gguf",
        "m-0001-of-0002.gguf", "m-+0001-of-00002.gguf", "m-00001-of-00002.bin",
        "m-00001_of-00002.gguf", "m-0000a-of-00002.gguf", "m-00001-of-00002.gguf.part"})
    EXPECT_FALSE(parse_split_name(name)) << name;
}

class SplitTest : public ::testing::Test {
 protected:
  // Part `n` of `count` with one tensor "t<n>" whose first value is 10 n.
  static GgufWriter part(int n, int count) {
    GgufWriter w;
    if (n == 1) w.string("general.architecture", "llama");
    w.u16("split.no", static_cast<std::uint16_t>(n - 1));
    w.u16("split.count", static_cast<std::uint16_t>(count));
    w.i32("split.tensors.count", count);
    w.f32_tensor(fmt::format("t{}", n), {4}, 10.0f * static_cast<float>(n));
    return w;
  }
  std::filesystem::path name(int n, int count) const {
    return folder_ / SplitName{"m", n, count}.part(n);
  }
  void save(int n, int count, const GgufWriter& w) const { w.save(name(n, count).string()); }
  void save_all(int count) const {
    for (int n = 1; n <= count; ++n) save(n, count, part(n, count));
  }
  std::string refused(const std::filesystem::path& path, Exit code = Exit::kBadData) const {
    try {
      File::open(path);
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), code) << e.what();
      return e.what();
    }
    ADD_FAILURE() << "was opened";
    return "";
  }
  TempFolder folder_;
};

void expect_part(const std::string& line, std::string_view part) {
  EXPECT_NE(line.find(part), std::string::npos) << "'" << line << "' lacks '" << part << "'";
}

TEST_F(SplitTest, AnyPartOpensTheWholeModelInOrder) {
  save_all(3);
  std::string all;
  for (int n = 1; n <= 3; ++n) all += ra::testing::read_file(name(n, 3));
  for (int opened = 1; opened <= 3; ++opened)
    for (const LoadMode mode : {LoadMode::kMmap, LoadMode::kRead}) {
      const auto file = File::open(name(opened, 3), {.mode = mode});
      ASSERT_EQ(file->tensors().size(), 3u);
      for (int n = 1; n <= 3; ++n) {
        const Tensor& t = file->tensors()[static_cast<std::size_t>(n - 1)];
        EXPECT_EQ(t.name, fmt::format("t{}", n));
        float first = 0;
        std::memcpy(&first, t.data, sizeof first);
        EXPECT_EQ(first, 10.0f * static_cast<float>(n));
      }
      EXPECT_EQ(file->string("general.architecture"), "llama");
      EXPECT_EQ(file->sha256(), sha256_hex(all));
      file->check_unchanged();
    }
}

TEST_F(SplitTest, AnyChangedPartIsNoticed) {
  save_all(2);
  const auto file = File::open(name(1, 2), {.mode = LoadMode::kRead});
  std::filesystem::resize_file(name(2, 2), 10);
  EXPECT_THROW(file->check_unchanged(), Error);
}

TEST_F(SplitTest, ACountOfOneOrNoneIsASingleFile) {
  GgufWriter w = tiny_writer();
  w.u16("split.count", 0);
  w.save((folder_ / "any.gguf").string());
  EXPECT_EQ(File::open(folder_ / "any.gguf")->tensors().size(), 3u);
  tiny_writer().save(name(1, 2).string());  // named like a part, but is none
  EXPECT_EQ(File::open(name(1, 2))->tensors().size(), 3u);
}

TEST_F(SplitTest, NamesTheMissingPart) {
  save(1, 2, part(1, 2));
  expect_part(refused(name(1, 2), Exit::kNoInput), "m-00002-of-00002.gguf");
}

TEST_F(SplitTest, RefusesPartsThatDisagree) {
  save_all(3);
  save(2, 3, part(3, 3));
  expect_part(refused(name(1, 3)), "split.no: is 2, the file name says 1");
  save(2, 3, part(2, 4));
  expect_part(refused(name(1, 3)), "split.count: is 4, the file name says 3");

  GgufWriter other_total;
  other_total.u16("split.no", 1).u16("split.count", 3).i32("split.tensors.count", 4);
  save(2, 3, other_total);
  expect_part(refused(name(1, 3)), "split.tensors.count: differs");

  GgufWriter too_few;
  too_few.u16("split.no", 1).u16("split.count", 3).i32("split.tensors.count", 3);
  save(2, 3, too_few);
  expect_part(refused(name(1, 3)), "3 tensors expected, the 3 parts have 2");

  GgufWriter v2 = part(2, 3);
  v2.version = 2;
  save(2, 3, v2);
  expect_part(refused(name(1, 3)), "version: is 2, that of the first part 3");
}

TEST_F(SplitTest, RefusesATensorInTwoParts) {
  save_all(2);
  GgufWriter second;
  second.u16("split.no", 1).u16("split.count", 2).i32("split.tensors.count", 2);
  second.f32_tensor("t1", {4});
  save(2, 2, second);
  expect_part(refused(name(1, 2)), "t1: tensor is in two parts");
}

TEST_F(SplitTest, RefusesOddKeysAndNames) {
  part(1, 2).save((folder_ / "renamed.gguf").string());
  expect_part(refused(folder_ / "renamed.gguf"), "does not end in -NNNNN-of-NNNNN.gguf");
  GgufWriter no_number;
  no_number.u16("split.count", 2);
  save(1, 2, no_number);
  expect_part(refused(name(1, 2)), "split.no: missing, though split.count is 2");
  GgufWriter text;
  text.string("split.count", "2");
  save(1, 2, text);
  expect_part(refused(name(1, 2)), "split.count: is a string, not an integer");
  GgufWriter negative;
  negative.i32("split.count", -1);
  save(1, 2, negative);
  expect_part(refused(name(1, 2)), "split.count: -1 is not from 0 to 99999");
  GgufWriter beyond;
  beyond.u16("split.count", 2).u16("split.no", 2);
  save(1, 2, beyond);
  expect_part(refused(name(1, 2)), "split.no: 2 is not from 0 to 1");
}

TEST_F(SplitTest, MemoryHoldsOneFileOnly) {
  expect_part(refusal_of(part(1, 2).bytes()), "a split model needs its files by name");
}

}  // namespace
}  // namespace ra::gguf
