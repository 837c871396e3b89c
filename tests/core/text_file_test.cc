// SPDX-License-Identifier: Apache-2.0
#include "lib/core/text_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <string>

#include "lib/core/error.h"
#include "tests/support/temp_folder.h"

namespace ra {
namespace {

using testing::TempFolder;
using testing::write_text;

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

TEST(TextFileTest, ByteForByte) {
  const TempFolder folder;
  const std::string text = std::string("a\r\n\0b \xe2\x82\xac", 9);
  write_text(folder / "t", text);
  EXPECT_EQ(read_text_file(folder / "t"), text);
  write_text(folder / "empty", "");
  EXPECT_EQ(read_text_file(folder / "empty"), "");
  write_text(folder / "t", "a\xff");
  EXPECT_EQ(read_bytes(folder / "t"), "a\xff");
}

TEST(TextFileTest, InvalidUtf8NamesTheOffset) {
  const TempFolder folder;
  write_text(folder / "t", "abc\xff\xc3");
  const Error e = error_of([&] { read_text_file(folder / "t"); });
  EXPECT_EQ(e.code(), Exit::kBadData);
  EXPECT_EQ(e.text().where, "byte 3");
  EXPECT_EQ(read_text_file(folder / "t", Utf8::kReplace), "abc\xef\xbf\xbd\xef\xbf\xbd");
}

TEST(TextFileTest, NoSuchFileFolderOrFifo) {
  const TempFolder folder;
  ASSERT_EQ(mkfifo((folder / "fifo").c_str(), 0600), 0);
  for (const auto& path : {folder / "absent", folder.path(), folder / "fifo"})
    EXPECT_EQ(error_of([&] { read_text_file(path); }).code(), Exit::kNoInput) << path;
}

TEST(IdsFileTest, OneIdPerLine) {
  const TempFolder folder;
  write_text(folder / "ids", "0\n15\r\n2147483647\n\n");
  EXPECT_EQ(read_ids_file(folder / "ids"), (std::vector<std::int32_t>{0, 15, 2147483647}));
  write_text(folder / "ids", "7");
  EXPECT_EQ(read_ids_file(folder / "ids"), std::vector<std::int32_t>{7});
  write_text(folder / "ids", "");
  EXPECT_TRUE(read_ids_file(folder / "ids").empty());
}

TEST(IdsFileTest, BadLinesAreNamed) {
  const TempFolder folder;
  for (const char* bad :
       {"1\n-2\n", "1\n\n3", "1\n2 3\n", "1\n+2\n", "1\n2147483648\n", "1\nx\n", "1\n 2\n"}) {
    write_text(folder / "ids", bad);
    const Error e = error_of([&] { read_ids_file(folder / "ids"); });
    EXPECT_EQ(e.code(), Exit::kBadData) << bad;
    EXPECT_EQ(e.text().where, "line 2") << bad;
  }
}

}  // namespace
}  // namespace ra
