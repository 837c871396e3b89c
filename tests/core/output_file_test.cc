// SPDX-License-Identifier: Apache-2.0
#include "lib/core/output_file.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <map>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/temp_folder.h"

namespace ra {
namespace {

namespace fs = std::filesystem;
using testing::read_file;
using testing::TempFolder;
using testing::write_text;

Exit exit_of(const std::function<void()>& f, std::string* message = nullptr) {
  try {
    f();
    return Exit::kOk;
  } catch (const Error& e) {
    if (message != nullptr) *message = e.what();
    return e.code();
  }
}

std::size_t files_in(const fs::path& folder) {
  return static_cast<std::size_t>(
      std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

class OutputFileTest : public ::testing::Test {
 protected:
  ~OutputFileTest() override { set_file_fault_hook({}); }
  TempFolder folder_;
  const fs::path out_ = folder_ / "out.bin";
};

TEST_F(OutputFileTest, AppearsOnlyWhenCommitted) {
  {
    OutputFile file(out_, false);
    file.append("half");
    EXPECT_FALSE(fs::exists(out_));
    EXPECT_TRUE(fs::exists(file.partial()));
  }
  EXPECT_EQ(files_in(folder_.path()), 0u);  // dropped without a trace
  OutputFile file(out_, false, 4096);
  file.append("whole");
  file.write_at(8, std::as_bytes(std::span("end", 3)));
  std::vector<std::byte> back(16);
  file.read_at(0, back);
  EXPECT_EQ(std::memcmp(back.data(), "whole\0\0\0end\0\0\0\0", 16), 0);
  file.commit();
  EXPECT_EQ(read_file(out_), std::string("whole\0\0\0end", 11));
  EXPECT_EQ(files_in(folder_.path()), 1u);
}

TEST_F(OutputFileTest, ReplacesOnlyWithForce) {
  write_text(out_, "old");
  std::string message;
  EXPECT_EQ(exit_of([&] { write_file(out_, "new", false); }, &message), Exit::kCannotCreate);
  EXPECT_NE(message.find("--force"), std::string::npos) << message;
  EXPECT_EQ(read_file(out_), "old");
  write_file(out_, "new", true);
  EXPECT_EQ(read_file(out_), "new");
}

TEST_F(OutputFileTest, NeverReplacesWhatAppearedMeanwhile) {
  OutputFile file(out_, false);
  file.append("mine");
  write_text(out_, "theirs");
  EXPECT_EQ(exit_of([&] { file.commit(); }), Exit::kCannotCreate);
  EXPECT_EQ(read_file(out_), "theirs");
  EXPECT_EQ(files_in(folder_.path()), 1u);
}

TEST_F(OutputFileTest, RefusesWhatIsNoFile) {
  EXPECT_EQ(exit_of([&] { check_output(folder_ / "no/such/out", false); }), Exit::kCannotCreate);
  EXPECT_EQ(exit_of([&] { check_output(folder_.path(), true); }), Exit::kCannotCreate);
  EXPECT_EQ(exit_of([&] { check_output(folder_.path() / "", true); }), Exit::kCannotCreate);
  EXPECT_EQ(exit_of([&] { check_output("/dev/full", true); }), Exit::kCannotCreate);
  write_text(folder_ / "real", "x");
  fs::create_symlink(folder_ / "real", folder_ / "link");
  EXPECT_EQ(exit_of([&] { check_output(folder_ / "link", true); }), Exit::kCannotCreate);
  EXPECT_EQ(exit_of([&] { check_output(folder_ / "real/out", true); }), Exit::kCannotCreate);
  ASSERT_EQ(mkfifo((folder_ / "fifo").c_str(), 0600), 0);
  EXPECT_EQ(exit_of([&] { check_output(folder_ / "fifo", true); }), Exit::kCannotCreate);
  EXPECT_EQ(exit_of([&] { OutputFile(folder_ / std::string(300, 'n'), false); }),
            Exit::kCannotCreate);
}

TEST_F(OutputFileTest, UnwritableFolderIsAPermissionError) {
  fs::create_directory(folder_ / "ro");
  fs::permissions(folder_ / "ro", fs::perms::owner_read | fs::perms::owner_exec);
  fs::permissions(folder_.path(), fs::perms::all);
  const pid_t child = fork();  // root may write anywhere, so ask as nobody
  if (child == 0) {
    if (geteuid() == 0 && setuid(65534) != 0) _exit(99);
    _exit(static_cast<int>(exit_of([&] { check_output(folder_ / "ro/out", false); })));
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), static_cast<int>(Exit::kPermission));
}

// Each operation fails in turn, for each kind of error, until a run gets through.
TEST_F(OutputFileTest, EveryFailingOperationLeavesTheOldFile) {
  for (const int error : {ENOSPC, EIO, EDQUOT}) {
    write_text(out_, "old");
    for (int nth = 0;; ++nth) {
      ASSERT_LT(nth, 20);
      int seen = 0;
      set_file_fault_hook([&](FileOp) { return FileFault{seen++ == nth ? error : 0}; });
      std::string message;
      const Exit code = exit_of(
          [&] {
            OutputFile file(out_, true, 100);
            file.append("first");
            file.append("second");
            file.commit();
          },
          &message);
      set_file_fault_hook({});
      if (code == Exit::kOk && seen <= nth) break;
      EXPECT_EQ(code, Exit::kIo) << "operation " << nth << ": " << message;
      EXPECT_NE(message.find(out_.string()), std::string::npos) << message;
      // The folder sync comes after the rename: the new file is there, whole.
      const std::string now = read_file(out_);
      EXPECT_TRUE(now == "old" || now == "firstsecond") << now;
      EXPECT_EQ(files_in(folder_.path()), 1u) << "operation " << nth;
    }
    EXPECT_EQ(read_file(out_), "firstsecond");
  }
}

TEST_F(OutputFileTest, ShortWritesAndInterruptsAreNoErrors) {
  int calls = 0;
  set_file_fault_hook([&](FileOp) { return FileFault{++calls % 3 == 0 ? EINTR : 0, 2}; });
  write_file(out_, "0123456789", false);
  EXPECT_EQ(read_file(out_), "0123456789");
}

TEST_F(OutputFileTest, FileSizeLimitIsAnIoErrorThatNamesBytes) {
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit old{};
  getrlimit(RLIMIT_FSIZE, &old);
  const rlimit tight{8192, old.rlim_max};
  setrlimit(RLIMIT_FSIZE, &tight);
  std::string message;
  const Exit code = exit_of([&] { write_file(out_, std::string(10000, 'x'), false); }, &message);
  setrlimit(RLIMIT_FSIZE, &old);
  EXPECT_EQ(code, Exit::kIo);
  EXPECT_NE(message.find("byte 8192"), std::string::npos) << message;
  EXPECT_NE(message.find("needs 1808 bytes"), std::string::npos) << message;
  EXPECT_EQ(files_in(folder_.path()), 0u);
}

TEST_F(OutputFileTest, LockIsHeldByOneAndFreedByDeath) {
  {
    const OutputLock lock(out_);
    std::string message;
    EXPECT_EQ(exit_of([&] { OutputLock other(out_); }, &message), Exit::kCannotCreate);
    EXPECT_NE(message.find("process " + std::to_string(getpid())), std::string::npos) << message;
  }
  EXPECT_EQ(files_in(folder_.path()), 0u);
  const pid_t child = fork();
  if (child == 0) {
    const OutputLock lock(out_);
    raise(SIGKILL);
  }
  int status = 0;
  waitpid(child, &status, 0);
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_TRUE(fs::exists(folder_ / "out.bin.lock"));
  const OutputLock lock(out_);  // does not throw
}

TEST_F(OutputFileTest, StalePartialsGoAndNothingElse) {
  for (const char* name : {"out.bin.partial.123", "out.bin.partial.x", "other.partial.1"})
    write_text(folder_ / name, "x");
  remove_stale_partials(out_);
  EXPECT_FALSE(fs::exists(folder_ / "out.bin.partial.123"));
  EXPECT_EQ(files_in(folder_.path()), 2u);
}

TEST_F(OutputFileTest, AppendLineCutsATornLine) {
  append_line(out_, "one");
  append_line(out_, "two");
  EXPECT_EQ(read_file(out_), "one\ntwo\n");
  write_text(out_, "one\nto");
  append_line(out_, "two");
  EXPECT_EQ(read_file(out_), "one\ntwo\n");
  set_file_fault_hook([&](FileOp op) { return FileFault{op == FileOp::kSync ? EIO : 0}; });
  EXPECT_EQ(exit_of([&] { append_line(out_, "three"); }), Exit::kIo);
  EXPECT_EQ(read_file(out_), "one\ntwo\n");
  EXPECT_EQ(exit_of([&] { append_line(folder_ / "new", "one"); }), Exit::kIo);
  EXPECT_FALSE(fs::exists(folder_ / "new"));
}

TEST_F(OutputFileTest, AppendersOfOneFileWaitForEachOther) {
  constexpr int kWriters = 4, kLines = 50;
  std::vector<std::jthread> writers;
  for (int w = 0; w < kWriters; ++w)
    writers.emplace_back([&, w] {
      for (int i = 0; i < kLines; ++i) append_line(out_, std::string(1 + w, 'a'));
    });
  writers.clear();
  std::map<std::string, int> lines;
  std::istringstream text(read_file(out_));
  for (std::string line; std::getline(text, line);) ++lines[line];
  EXPECT_EQ(lines, (std::map<std::string, int>{
                       {"a", kLines}, {"aa", kLines}, {"aaa", kLines}, {"aaaa", kLines}}));
}

TEST_F(OutputFileTest, FreeSpaceIsComparedWithTheNeed) {
  EXPECT_EQ(exit_of([&] { check_free_space(out_, 1); }), Exit::kOk);
  std::string message;
  EXPECT_EQ(exit_of([&] { check_free_space(out_, 1ull << 60); }, &message), Exit::kIo);
  EXPECT_NE(message.find("1210567579837189324"), std::string::npos) << message;  // 2^60 + 5 %
}

}  // namespace
}  // namespace ra
