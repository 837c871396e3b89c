// SPDX-License-Identifier: Apache-2.0

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "tests/store/store_fixture.h"

namespace ra::store {
namespace {

using namespace testing;  // the fixture and the sample

class DumpWriterTest : public StoreTest {};

TEST_F(DumpWriterTest, RoundTripOfEveryType) {
  for (const DType type : {DType::kF16, DType::kBf16, DType::kF32})
    for (const int gzip : {0, 4})
      for (const WriterOptions& base : {WriterOptions{.out = out_}, small_parts(), tiny_parts()}) {
        WriterOptions options = base;
        options.gzip = gzip;
        options.force = true;
        const Sample s = sample_dump(type);
        write_sample(s, options);
        expect_sample(out_, s);
        EXPECT_EQ(names_in(folder_.path()), std::vector<std::string>{"d.h5"});
      }
}

TEST_F(DumpWriterTest, ExistingOutputNeedsForce) {
  const Sample s = sample_dump();
  write_text(out_, "precious");
  const Error e = error_of([&] { write_sample(s, {.out = out_}); });
  EXPECT_EQ(e.code(), Exit::kCannotCreate);
  EXPECT_NE(std::string(e.what()).find("--force"), std::string::npos) << e.what();
  EXPECT_EQ(read_file(out_), "precious");
  write_sample(s, {.out = out_, .force = true});
  expect_sample(out_, s);
}

TEST_F(DumpWriterTest, ARunThatEndsBeforeItsFirstPartLeavesNothing) {
  const Sample s = sample_dump();
  {
    const auto writer = DumpWriter::create(s.info, small_parts());
    feed(*writer, s, 0, 3);
    EXPECT_EQ(names_in(folder_.path()), (std::vector<std::string>{"d.h5.lock", "d.h5.parts"}));
  }
  EXPECT_TRUE(names_in(folder_.path()).empty());
  {
    const auto writer = DumpWriter::create(s.info, small_parts());
    feed(*writer, s, 0, 20);
  }
  EXPECT_EQ(names_in(folder_.path()), std::vector<std::string>{"d.h5.parts"}) << "--resume's";
}

TEST_F(DumpWriterTest, SecondWriterIsTurnedAway) {
  const Sample s = sample_dump();
  const auto writer = DumpWriter::create(s.info, small_parts());
  feed(*writer, s, 0, 20);
  EXPECT_EQ(error_of([&] { write_sample(s, small_parts()); }).code(), Exit::kCannotCreate);
  feed(*writer, s, 20, 50);
  writer->finish(s.ids, s.nll, s.logits_last);
  expect_sample(out_, s);
}

TEST_F(DumpWriterTest, SuspendAndResumeGiveTheSameFile) {
  const Sample s = sample_dump();
  write_sample(s, {.out = out_});
  const std::string whole = read_file(out_);
  for (const WriterOptions& base : {small_parts(), tiny_parts()})
    for (std::int64_t stop = 1; stop < 50; stop += 5) {
      fs::remove(out_);
      {
        const auto writer = DumpWriter::create(s.info, base);
        feed(*writer, s, 0, stop);
        writer->suspend();
      }
      EXPECT_FALSE(fs::exists(out_));
      WriterOptions options = base;
      EXPECT_EQ(error_of([&] { DumpWriter::create(s.info, options); }).code(), Exit::kCannotCreate);
      options.resume = true;
      options.part_bytes *= 3;  // the cuts of the first run stay
      auto writer = DumpWriter::create(s.info, options);
      EXPECT_EQ(writer->resume_position(), stop);
      feed(*writer, s, 0, 50);
      writer->finish(s.ids, s.nll, s.logits_last);
      writer.reset();
      EXPECT_TRUE(read_file(out_) == whole) << stop;
      EXPECT_EQ(names_in(folder_.path()), std::vector<std::string>{"d.h5"});
    }
  WriterOptions options = small_parts();
  options.resume = true;
  EXPECT_TRUE(DumpWriter::create(s.info, options)->complete());
}

TEST_F(DumpWriterTest, ResumeOfAnotherRunIsRefused) {
  const Sample s = sample_dump();
  {
    const auto writer = DumpWriter::create(s.info, small_parts());
    feed(*writer, s, 0, 30);
  }
  WriterOptions options = small_parts();
  options.resume = true;
  const auto refused = [&](auto change) {
    Sample other = s;
    WriterOptions o = options;
    change(other.info, o);
    return error_of([&] { DumpWriter::create(other.info, o); }).code();
  };
  EXPECT_EQ(refused([](DumpInfo& i, auto&) { i.model_sha256[0] = 'b'; }), Exit::kBadData);
  EXPECT_EQ(refused([](DumpInfo& i, auto&) { i.ids[3] = 1; }), Exit::kBadData);
  EXPECT_EQ(refused([](DumpInfo& i, auto&) { i.layers = {0, 1, 3}; }), Exit::kBadData);
  EXPECT_EQ(refused([](DumpInfo& i, auto&) { i.dtype = DType::kBf16; }), Exit::kBadData);
  EXPECT_EQ(refused([](auto&, WriterOptions& o) { o.run_key = "x"; }), Exit::kBadData);
  EXPECT_EQ(refused([](auto&, auto&) {}), Exit::kOk);
  // A damaged part is noticed.
  const std::string part = names_in(parts_).front();
  std::string bytes = read_file(parts_ / part);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  write_text(parts_ / part, bytes);
  EXPECT_EQ(refused([](auto&, auto&) {}), Exit::kBadData);
}

// Each file operation of a run fails in turn: the old file survives, and a resume is bit-identical.
TEST_F(DumpWriterTest, EveryFailingOperationCanBeResumed) {
  const Sample s = sample_dump();
  write_sample(s, {.out = out_});
  const std::string whole = read_file(out_);
  int operations = 0;
  set_file_fault_hook([&](FileOp) {
    ++operations;
    return FileFault{};
  });
  WriterOptions options = small_parts();
  options.force = true;
  write_sample(s, options);
  set_file_fault_hook({});
  ASSERT_GT(operations, 60);
  const int errors[] = {ENOSPC, EIO, EDQUOT};
  for (int nth = 0; nth < operations; ++nth) {
    write_text(out_, "old");
    int seen = 0;
    set_file_fault_hook([&](FileOp) {
      return FileFault{seen++ == nth ? errors[nth % 3] : 0, 700};
    });
    const Error e = error_of([&] { write_sample(s, options); });
    set_file_fault_hook({});
    if (e.code() != Exit::kOk) {
      EXPECT_EQ(e.code(), Exit::kIo) << nth << ": " << e.what();
      EXPECT_NE(std::string(e.what()).find("d.h5"), std::string::npos) << e.what();
      EXPECT_TRUE(read_file(out_) == "old" || read_file(out_) == whole) << nth;
    }
    WriterOptions again = options;
    again.resume = true;
    write_sample(s, again);
    ASSERT_TRUE(read_file(out_) == whole) << nth << ": " << e.what();
    EXPECT_EQ(names_in(folder_.path()), std::vector<std::string>{"d.h5"}) << nth;
  }
}

// A process killed at each file operation in turn loses at most the open part.
TEST_F(DumpWriterTest, KilledAnywhereCanBeResumed) {
  const Sample s = sample_dump();
  write_sample(s, {.out = out_});
  const std::string whole = read_file(out_);
  int kills = 0;
  for (int nth = 0;; nth += 5) {
    fs::remove(out_);
    const pid_t child = fork();
    if (child == 0) {
      int seen = 0;
      set_file_fault_hook([&](FileOp) {
        if (seen++ == nth) raise(SIGKILL);
        return FileFault{};
      });
      write_sample(s, small_parts());
      _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    if (fs::exists(out_)) {
      ASSERT_TRUE(read_file(out_) == whole) << nth;
    }
    WriterOptions again = small_parts();
    again.resume = true;
    write_sample(s, again);
    ASSERT_TRUE(read_file(out_) == whole) << nth;
    EXPECT_EQ(names_in(folder_.path()), std::vector<std::string>{"d.h5"}) << nth;
    if (WIFEXITED(status)) break;
    ++kills;
  }
  EXPECT_GT(kills, 20);
}

}  // namespace
}  // namespace ra::store
