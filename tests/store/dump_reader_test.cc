// SPDX-License-Identifier: Apache-2.0
#include "lib/store/dump_reader.h"

#include <gtest/gtest.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#endif

#include <atomic>
#include <thread>

#include "lib/core/rng.h"
#include "tests/store/store_fixture.h"

namespace ra::store {
namespace {

using namespace testing;  // the fixture and the sample

// libhdf5 1.10.8 loses a few hundred bytes each time it meets a damaged chunk, some of them taken
// before from its own free lists; only the test of bit flips looks away.
struct LibraryLeaks {
#ifdef __SANITIZE_ADDRESS__
  LibraryLeaks() { __lsan_disable(); }
  ~LibraryLeaks() { __lsan_enable(); }
#else
  LibraryLeaks() {}
  ~LibraryLeaks() {}
#endif
};

class DumpReaderTest : public StoreTest {};
class DamagedDumpTest : LibraryLeaks, public StoreTest {};

// ---- reading damaged files
// -----------------------------------------------------------------------

void read_everything(const fs::path& file, const Sample& s) {
  const auto reader = DumpReader::open(file);
  expect_sample(file, s);
}

TEST_F(DumpReaderTest, TruncationIsRefused) {
  const Sample s = sample_dump();
  write_sample(s, {.out = out_});
  const std::string whole = read_file(out_);
  for (std::size_t n = 0; n < whole.size(); n += n < 256 ? 1 : 97) {
    write_text(folder_ / "cut.h5", whole.substr(0, n));
    ASSERT_EQ(error_of([&] { read_everything(folder_ / "cut.h5", s); }).code(), Exit::kBadData)
        << n;
  }
}

TEST_F(DamagedDumpTest, BitFlipsAreRefusedOrHarmless) {
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

TEST_F(DumpReaderTest, ForeignFilesAreRefused) {
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

TEST_F(DumpReaderTest, LayersThatAreNotThereAreNamed) {
  const Sample s = sample_dump();
  write_sample(s, {.out = out_});
  const auto reader = DumpReader::open(out_);
  EXPECT_FALSE(reader->has_layer(1));
  EXPECT_FALSE(reader->has_layer(99));
  const Error e = error_of([&] { (void)reader->read_k(1, 0, 0, 1); });
  EXPECT_EQ(e.code(), Exit::kBadData);
  EXPECT_EQ(e.text().where, "layer 1");
}

TEST_F(DumpReaderTest, LayersWithAWindowAreKnownButNotRead) {
  Sample s = sample_dump();
  s.info.layer_attributes = {{0, {.sliding_window = 49, .rope_base = 500.0}},
                             {2, {.sliding_window = 50}}};
  WriterOptions in_parts = small_parts();
  in_parts.single_limit = 1000;
  in_parts.out = folder_ / "parts.h5";
  write_sample(s, {.out = out_});
  write_sample(s, in_parts);
  for (const auto& file : {out_, in_parts.out}) {
    const auto reader = DumpReader::open(file);
    EXPECT_EQ(reader->info().layer_attributes, s.info.layer_attributes);
    EXPECT_TRUE(reader->has_layer(0));
    for (const auto& read : {std::function<void()>([&] { reader->check_layer(0); }),
                             std::function<void()>([&] { (void)reader->read_k(0, 0, 0, 1); }),
                             std::function<void()>([&] { (void)reader->read_q(0, 0, 0, 1); })}) {
      const Error e = error_of(read);
      EXPECT_EQ(e.code(), Exit::kBadData);
      EXPECT_EQ(e.text().where, "layer 0");
      EXPECT_EQ(e.text().hint, "--layers 2,3");
    }
    EXPECT_NO_THROW(reader->check_layer(2));  // 50 tokens: the window holds them all
    EXPECT_EQ(reader->read_k(2, 0, 0, 1).rows(), 1u);
  }
}

TEST_F(DumpReaderTest, ReadersMayShareAFileBetweenThreads) {
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
