// SPDX-License-Identifier: Apache-2.0
#include "lib/store/vectors.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cmath>
#include <csignal>
#include <cstring>
#include <thread>

#include "lib/core/error.h"
#include "lib/core/output_file.h"
#include "lib/core/rng.h"
#include "tests/store/sample_dump.h"
#include "tests/support/temp_folder.h"

namespace ra::store {
namespace {

namespace fs = std::filesystem;
using ra::testing::read_file;
using ra::testing::TempFolder;
using ra::testing::write_text;
using testing::expect_sample;
using testing::feed;
using testing::Sample;
using testing::sample_dump;
using testing::write_sample;

template <class F>
Error error_of(F&& f) {
  try {
    f();
  } catch (const Error& e) {
    return e;
  }
  return Error(Exit::kOk, {});
}

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& e : fs::directory_iterator(folder)) names.push_back(e.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

class VectorsTest : public ::testing::Test {
 protected:
  ~VectorsTest() override { set_file_fault_hook({}); }
  // Parts of 16 prompt tokens and a few generated ones.
  WriterOptions small_parts() const { return {.out = out_, .part_bytes = 6000, .append_rows = 8}; }
  // Parts that hold one layer each.
  WriterOptions tiny_parts() const { return {.out = out_, .part_bytes = 900, .append_rows = 8}; }
  TempFolder folder_;
  const fs::path out_ = folder_ / "d.h5", parts_ = folder_ / "d.h5.parts";
};

TEST_F(VectorsTest, RoundTripOfEveryType) {
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

TEST_F(VectorsTest, SameBytesHoweverItWasCut) {
  const Sample s = sample_dump();
  write_sample(s, {.out = out_});
  const std::string whole = read_file(out_);
  WriterOptions options = small_parts();
  options.force = true;
  write_sample(s, options);
  EXPECT_TRUE(read_file(out_) == whole);
}

TEST_F(VectorsTest, StaysInPartsAboveTheLimit) {
  for (const DType type : {DType::kF16, DType::kBf16, DType::kF32}) {
    const Sample s = sample_dump(type);
    WriterOptions options = small_parts();
    options.single_limit = 1000;
    write_sample(s, options);
    EXPECT_GT(names_in(parts_).size(), 3u);
    expect_sample(out_, s);
    fs::create_directory(folder_ / "moved");
    fs::rename(out_,
               folder_ / "moved/other.h5");  // parts travel with the dump; its name may change
    fs::rename(parts_, folder_ / "moved/d.h5.parts");
    expect_sample(folder_ / "moved/other.h5", s);
    fs::remove_all(folder_ / "moved");
  }
}

TEST_F(VectorsTest, SizeIsBoundedByTheEstimate) {
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

TEST_F(VectorsTest, MissingOrChangedPartsAreRefused) {
  const Sample s = sample_dump();
  WriterOptions options = small_parts();
  options.single_limit = 1000;
  write_sample(s, options);
  const auto names = names_in(parts_);
  for (const std::string& name : names) {
    const std::string bytes = read_file(parts_ / name);
    fs::remove(parts_ / name);
    EXPECT_EQ(error_of([&] { DumpReader::open(out_); }).code(), Exit::kBadData) << name;
    write_text(parts_ / name, bytes + "x");
    EXPECT_EQ(error_of([&] { DumpReader::open(out_); }).code(), Exit::kBadData) << name;
    write_text(parts_ / name, bytes);
  }
  expect_sample(out_, s);
  options.force = true;  // would write into the folder that the old dump needs
  EXPECT_EQ(error_of([&] { write_sample(s, options); }).code(), Exit::kCannotCreate);
  expect_sample(out_, s);
}

TEST_F(VectorsTest, OverflowStopsUnlessAllowedToSaturate) {
  const Sample s = sample_dump();
  Matrix<float> q(1, 32), k(1, 16), v(1, 12);
  k.row(0)[9] = -70000;
  const auto write = [&](bool saturate) {
    WriterOptions options{.out = out_, .allow_saturate = saturate};
    const auto writer = DumpWriter::create(s.info, options);
    for (const int layer : s.info.layers) writer->append(layer, 0, q.view(), k.view(), v.view());
    feed(*writer, s, 1, 50, 8);
    writer->finish(s.ids, {}, {});
  };
  const Error e = error_of([&] { write(false); });
  EXPECT_EQ(e.code(), Exit::kBadData);
  EXPECT_EQ(e.text().where, "layer 0, k, token 0");
  EXPECT_NE(e.text().why.find("-70000"), std::string::npos) << e.what();
  EXPECT_FALSE(fs::exists(out_));
  write(true);
  EXPECT_EQ(DumpReader::open(out_)->read_k(2, 1, 0, 1).row(0)[1], -65504);
  EXPECT_NE(read_file(out_).find("saturated"), std::string::npos);
}

TEST_F(VectorsTest, NotANumberStops) {
  const Sample s = sample_dump(DType::kF32);
  Matrix<float> q(2, 32), k(2, 16), v(2, 12);
  v.row(1)[3] = NAN;
  const auto writer = DumpWriter::create(s.info, {.out = out_, .allow_saturate = true});
  const Error e = error_of([&] { writer->append(2, 0, q.view(), k.view(), v.view()); });
  EXPECT_EQ(e.code(), Exit::kBadData);
  EXPECT_EQ(e.text().where, "layer 2, v, token 1");
}

TEST_F(VectorsTest, ExistingOutputNeedsForce) {
  const Sample s = sample_dump();
  write_text(out_, "precious");
  const Error e = error_of([&] { write_sample(s, {.out = out_}); });
  EXPECT_EQ(e.code(), Exit::kCannotCreate);
  EXPECT_NE(std::string(e.what()).find("--force"), std::string::npos) << e.what();
  EXPECT_EQ(read_file(out_), "precious");
  write_sample(s, {.out = out_, .force = true});
  expect_sample(out_, s);
}

TEST_F(VectorsTest, SecondWriterIsTurnedAway) {
  const Sample s = sample_dump();
  const auto writer = DumpWriter::create(s.info, small_parts());
  feed(*writer, s, 0, 20);
  EXPECT_EQ(error_of([&] { write_sample(s, small_parts()); }).code(), Exit::kCannotCreate);
  feed(*writer, s, 20, 50);
  writer->finish(s.ids, s.nll, s.logits_last);
  expect_sample(out_, s);
}

TEST_F(VectorsTest, SuspendAndResumeGiveTheSameFile) {
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

TEST_F(VectorsTest, ResumeOfAnotherRunIsRefused) {
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
TEST_F(VectorsTest, EveryFailingOperationCanBeResumed) {
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
TEST_F(VectorsTest, KilledAnywhereCanBeResumed) {
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

// ---- reading damaged files
// -----------------------------------------------------------------------

void read_everything(const fs::path& file, const Sample& s) {
  const auto reader = DumpReader::open(file);
  expect_sample(file, s);
}

TEST_F(VectorsTest, TruncationIsRefused) {
  const Sample s = sample_dump();
  write_sample(s, {.out = out_});
  const std::string whole = read_file(out_);
  for (std::size_t n = 0; n < whole.size(); n += n < 256 ? 1 : 97) {
    write_text(folder_ / "cut.h5", whole.substr(0, n));
    ASSERT_EQ(error_of([&] { read_everything(folder_ / "cut.h5", s); }).code(), Exit::kBadData)
        << n;
  }
}

TEST_F(VectorsTest, BitFlipsAreRefusedOrHarmless) {
  const Sample s = sample_dump();
  Rng rng(1);
  for (const int gzip : {0, 6}) {
    write_sample(s, {.out = out_, .force = true, .gzip = gzip});
    const std::string whole = read_file(out_);
    int refused = 0;
    for (int i = 0; i < 700; ++i) {
      std::string bytes = whole;
      const std::uint64_t bit = rng.below(whole.size() * 8);
      bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
      write_text(folder_ / "flip.h5", bytes);
      const Error e = error_of([&] { read_everything(folder_ / "flip.h5", s); });
      if (e.code() != Exit::kOk) {
        ASSERT_EQ(e.code(), Exit::kBadData) << e.what();
        ++refused;
      }
      ASSERT_FALSE(HasFailure()) << "bit " << bit;
    }
    EXPECT_GT(refused, 200);  // the rest hit unused space
  }
}

TEST_F(VectorsTest, ManifestFlipsAreRefused) {
  const Sample s = sample_dump();
  WriterOptions options = small_parts();
  options.single_limit = 1000;
  write_sample(s, options);
  const std::string whole = read_file(parts_ / "manifest.jsonl");
  Rng rng(2);
  for (int i = 0; i < 300; ++i) {
    std::string bytes = whole;
    const std::uint64_t bit = rng.below(whole.size() * 8);
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
    write_text(parts_ / "manifest.jsonl", bytes);
    ASSERT_EQ(error_of([&] { DumpReader::open(out_); }).code(), Exit::kBadData) << bit;
  }
}

TEST_F(VectorsTest, ForeignFilesAreRefused) {
  EXPECT_EQ(error_of([&] { DumpReader::open(folder_ / "none"); }).code(), Exit::kNoInput);
  EXPECT_EQ(error_of([&] { DumpReader::open(folder_.path()); }).code(), Exit::kNoInput);
  write_text(folder_ / "text", "hello");
  EXPECT_EQ(error_of([&] { DumpReader::open(folder_ / "text"); }).code(), Exit::kBadData);
  const Sample s = sample_dump();
  WriterOptions options = small_parts();
  options.single_limit = 1000;
  write_sample(s, options);
  const Error e = error_of([&] { DumpReader::open(parts_ / names_in(parts_).front()); });
  EXPECT_EQ(e.code(), Exit::kBadData);
  EXPECT_EQ(e.text().where, "/@format");
}

TEST_F(VectorsTest, LayersThatAreNotThereAreNamed) {
  const Sample s = sample_dump();
  write_sample(s, {.out = out_});
  const auto reader = DumpReader::open(out_);
  EXPECT_FALSE(reader->has_layer(1));
  EXPECT_FALSE(reader->has_layer(99));
  const Error e = error_of([&] { (void)reader->read_k(1, 0, 0, 1); });
  EXPECT_EQ(e.code(), Exit::kBadData);
  EXPECT_EQ(e.text().where, "layer 1");
}

TEST_F(VectorsTest, ReadersMayShareAFileBetweenThreads) {
  const Sample s = sample_dump();
  WriterOptions options = small_parts();
  options.single_limit = 1000;
  write_sample(s, options);
  const auto reader = DumpReader::open(out_);
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) {
        const int layer = s.info.layers[static_cast<std::size_t>((t + i) % 3)];
        const auto k = reader->read_k(layer, t % 2, i, 1);
        if (k.row(0)[3] != testing::sample_value(s, layer, 'k', i, t % 2, 3)) ++wrong;
      }
    });
  for (auto& t : threads) t.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace ra::store
