// SPDX-License-Identifier: Apache-2.0
#include "lib/core/mapped_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>

#include "lib/core/error.h"
#include "tests/support/temp_folder.h"

namespace ra {
namespace {

using ra::testing::TempFolder;
using ra::testing::write_text;

std::string_view text_of(const MappedFile& file) {
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

class MappedFileTest : public ::testing::TestWithParam<MapMode> {
 protected:
  // Opens `path` and expects an Error with this code; returns its line.
  std::string refused(const std::filesystem::path& path, Exit code) {
    try {
      const MappedFile file(path, GetParam());
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), code) << e.what();
      return e.what();
    }
    ADD_FAILURE() << path << " was opened";
    return "";
  }
  // check_unchanged() of a file that was changed in this way.
  template <class Change>
  std::string changed(Change&& change) {
    const auto path = folder_ / "m.bin";
    write_text(path, "12345678");
    const MappedFile file(path, GetParam());
    file.check_unchanged();
    change(path);
    try {
      file.check_unchanged();
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), Exit::kIo);
      return e.what();
    }
    return "unnoticed";
  }
  TempFolder folder_;
};

INSTANTIATE_TEST_SUITE_P(Modes, MappedFileTest, ::testing::Values(MapMode::kMap, MapMode::kRead),
                         [](const auto& test) {
                           return test.param == MapMode::kMap ? "Map" : "Read";
                         });

TEST_P(MappedFileTest, HoldsTheBytesAligned) {
  std::string text(100'003, 'x');
  text.replace(99'990, 5, "hello");
  write_text(folder_ / "a", text);
  const MappedFile file(folder_ / "a", GetParam());
  EXPECT_EQ(text_of(file), text);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(file.bytes().data()) % 64, 0u);
  EXPECT_EQ(file.path(), folder_ / "a");
}

TEST_P(MappedFileTest, AnEmptyFileIsAnEmptySpan) {
  write_text(folder_ / "empty", "");
  EXPECT_TRUE(MappedFile(folder_ / "empty", GetParam()).bytes().empty());
}

TEST_P(MappedFileTest, FollowsSymbolicLinks) {
  write_text(folder_ / "a", "abc");
  std::filesystem::create_symlink("a", folder_ / "link");
  EXPECT_EQ(text_of(MappedFile(folder_ / "link", GetParam())), "abc");
}

TEST_P(MappedFileTest, RefusesWhatIsNotARegularFile) {
  ASSERT_EQ(mkfifo((folder_ / "fifo").c_str(), 0600), 0);
  std::filesystem::create_symlink("loop", folder_ / "loop");
  EXPECT_NE(refused(folder_ / "fifo", Exit::kNoInput).find("a FIFO"), std::string::npos);
  EXPECT_NE(refused(folder_.path(), Exit::kNoInput).find("a directory"), std::string::npos);
  EXPECT_NE(refused("/dev/zero", Exit::kNoInput).find("a device"), std::string::npos);
  refused(folder_ / "loop", Exit::kNoInput);
  refused(folder_ / "absent", Exit::kNoInput);
  refused(folder_ / std::string(300, 'n'), Exit::kNoInput);
  refused("", Exit::kNoInput);
}

TEST_P(MappedFileTest, NamesMissingPermission) {
  namespace fs = std::filesystem;
  write_text(folder_ / "secret", "abc");
  fs::permissions(folder_ / "secret", fs::perms::none);
  fs::permissions(folder_.path(), fs::perms::owner_all | fs::perms::others_exec);
  // _exit: a leak check at the end is not possible under another user.
  const auto open_unprivileged = [&] {
    if (geteuid() == 0 && seteuid(65534) != 0) ::_exit(1);  // root may read everything
    try {
      const MappedFile file(folder_ / "secret", GetParam());
    } catch (const Error& e) {
      ::_exit(static_cast<int>(e.code()));
    }
    ::_exit(0);
  };
  EXPECT_EXIT(open_unprivileged(), ::testing::ExitedWithCode(77), "");
}

TEST_P(MappedFileTest, EscapesThePathInMessages) {
  EXPECT_NE(refused(folder_ / "new\nline", Exit::kNoInput).find("new\\x0aline"), std::string::npos);
}

TEST_P(MappedFileTest, NoticesEveryKindOfChange) {
  namespace fs = std::filesystem;
  EXPECT_EQ(changed([](const auto&) {}), "unnoticed");
  EXPECT_NE(changed([](const auto& p) { fs::remove(p); }).find("No such file"), std::string::npos);
  EXPECT_NE(changed([](const auto& p) { fs::resize_file(p, 4); }).find("had 8 bytes"),
            std::string::npos);
  EXPECT_NE(changed([](const auto& p) { fs::resize_file(p, 9); }).find("now 9"), std::string::npos);
  EXPECT_NE(changed([](const auto& p) {
              fs::last_write_time(p, fs::last_write_time(p) - std::chrono::seconds(5));
            }).find("modified"),
            std::string::npos);
  EXPECT_NE(changed([this](const auto& p) {
              write_text(folder_ / "other", "87654321");
              fs::rename(folder_ / "other", p);
            }).find("replaced"),
            std::string::npos);
}

TEST(MappedFileDeathTest, TruncationEndsWithALineAndExit74) {
  const TempFolder folder;
  const auto path = folder / "m.bin";
  write_text(path, std::string(1 << 16, 'x'));
  const auto read_past_the_end = [&] {
    const MappedFile other(folder / "m.bin");  // another range in the handler's table
    const MappedFile file(path, MapMode::kMap);
    std::filesystem::resize_file(path, 100);
    const volatile auto byte = file.bytes()[40'000];
    std::exit(byte == std::byte{0} ? 1 : 2);
  };
  EXPECT_EXIT(read_past_the_end(), ::testing::ExitedWithCode(74),
              "error: input changed: .*m\\.bin: byte 40000: file changed or truncated");
}

TEST(MappedFileDeathTest, ReadModeSurvivesTruncation) {
  const TempFolder folder;
  const auto path = folder / "m.bin";
  write_text(path, std::string(1 << 16, 'x'));
  const MappedFile file(path, MapMode::kRead);
  std::filesystem::resize_file(path, 100);
  EXPECT_EQ(static_cast<char>(file.bytes()[40'000]), 'x');
}

}  // namespace
}  // namespace ra
