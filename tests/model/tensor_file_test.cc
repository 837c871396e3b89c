// SPDX-License-Identifier: Apache-2.0
#include "lib/model/tensor_file.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>
#include <functional>
#include <limits>
#include <vector>

#include "lib/core/error.h"
#include "lib/core/hash.h"
#include "lib/core/output_file.h"
#include "tests/support/random.h"
#include "tests/support/temp_folder.h"

namespace ra::model {
namespace {

namespace fs = std::filesystem;
using testing::random_bytes;
using testing::read_file;
using testing::write_text;

constexpr std::string_view kMagic = "TESTFILE";

Error error_of(const std::function<void()>& run) {
  try {
    run();
  } catch (const Error& e) {
    return e;
  }
  ADD_FAILURE() << "no error";
  return Error(Exit::kOk, {});
}

class TensorFileTest : public ::testing::Test {
 protected:
  TensorFileTest() : a_(random_bytes(5000, 1)), b_(random_bytes(4096, 2)), c_(random_bytes(3, 3)) {
    write(file_, false);
  }
  void write(const fs::path& file, bool force) const {
    const std::span<const std::byte> a(a_);
    write_tensor_file(file, force, kMagic, {{"name", "x"}, {"n", 7}, {"r", 0.1}, {"o", {{"p", 1}}}},
                      {{0, "k", {a.first(1000), {}, a.subspan(1000)}},
                       {0, "v", {b_}},
                       {3, "k", {}},
                       {3, "v", {c_}}});
  }
  // The error of a file with these bytes.
  Error refused(const std::string& bytes, bool trust = false) const {
    write_text(folder_ / "bad", bytes);
    const Error e = error_of([&] { TensorFile(folder_ / "bad", kMagic, "thing", trust); });
    EXPECT_EQ(e.code(), Exit::kBadData) << e.what();
    EXPECT_EQ(e.text().what, "bad thing");
    return e;
  }
  // The good file with another JSON header of any content, hashes made right.
  std::string with_json(std::string json) const {
    const std::string good = read_file(file_);
    std::uint64_t start = 0, old_start = 0, size = json.size();
    std::memcpy(&old_start, good.data() + 24, 8);
    start = (64 + size + 4095) / 4096 * 4096;
    std::string head = good.substr(0, 64);
    std::memcpy(head.data() + 16, &size, 8);
    std::memcpy(head.data() + 24, &start, 8);
    const std::string hashed = head.substr(0, 48) + json;
    const std::uint64_t hash = xxh3_64(std::as_bytes(std::span(hashed)));
    std::memcpy(head.data() + 48, &hash, 8);
    json.resize(start - 64);
    return head + json + good.substr(old_start);
  }
  std::string json() const {
    const std::string good = read_file(file_);
    std::uint64_t n = 0;
    std::memcpy(&n, good.data() + 16, 8);
    return good.substr(64, n);
  }

  testing::TempFolder folder_;
  fs::path file_ = folder_ / "f";
  std::vector<std::byte> a_, b_, c_;
};

bool same(std::span<const std::byte> a, std::span<const std::byte> b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

TEST_F(TensorFileTest, RoundTrip) {
  const TensorFile file(file_, kMagic, "thing");
  ASSERT_EQ(file.tensors().size(), 4u);
  EXPECT_TRUE(same(file.require(0, "k", 5000), a_));
  EXPECT_TRUE(same(file.require(0, "v", 4096), b_));
  EXPECT_TRUE(same(file.require(3, "v", 3), c_));
  EXPECT_EQ(file.require(3, "k", 0).size(), 0u);
  EXPECT_EQ(file.find(1, "k"), nullptr);
  EXPECT_EQ(file.text("name"), "x");
  EXPECT_EQ(file.integer("n", 0, 7), 7);
  EXPECT_EQ(file.number("r"), 0.1);
  EXPECT_EQ(file.object("o"), R"({"p":1})");
  for (const auto& t : file.tensors()) {  // mapped at page boundaries
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(t.bytes.data()) % 4096, 0u) << t.name;
  }
  // The file ends with the last tensor, and the upper bound of its size is one.
  EXPECT_EQ(fs::file_size(file_), 4096u + 8192 + 4096 + 3);
  const std::uint64_t sizes[] = {5000, 4096, 0, 3};
  EXPECT_GE(tensor_file_bytes(sizes), fs::file_size(file_));
}

TEST_F(TensorFileTest, FieldsAndTensorsAreTyped) {
  const TensorFile file(file_, kMagic, "thing");
  const auto where = [&](const std::function<void()>& run) {
    const Error e = error_of(run);
    EXPECT_EQ(e.code(), Exit::kBadData);
    return e.text().where;
  };
  EXPECT_EQ(where([&] { file.integer("name", 0, 9); }), "name");
  EXPECT_EQ(where([&] { file.integer("n", 8, 9); }), "n");
  EXPECT_EQ(where([&] { file.integer("n", 0, 6); }), "n");
  EXPECT_EQ(where([&] { file.integer("r", 0, 6); }), "r");
  EXPECT_EQ(where([&] { file.number("absent"); }), "absent");
  EXPECT_EQ(where([&] { file.text("n"); }), "n");
  EXPECT_EQ(where([&] { file.object("name"); }), "name");
  EXPECT_EQ(where([&] { file.require(0, "k", 4999); }), "k of layer 0");
  EXPECT_EQ(where([&] { file.require(2, "k", 1); }), "k of layer 2");
}

TEST_F(TensorFileTest, EveryTruncationIsRefused) {
  const std::string good = read_file(file_);
  for (std::size_t n = 0; n < good.size(); n += n < 5000 || n > good.size() - 10 ? 1 : 97)
    refused(good.substr(0, n));
  refused(good + '\0');
}

TEST_F(TensorFileTest, EveryFlippedBitIsRefused) {
  std::string bytes = read_file(file_);
  for (std::size_t i = 0; i < bytes.size(); i += i < 1000 ? 1 : 37) {
    const char old = bytes[i];
    bytes[i] = static_cast<char>(old ^ (1 << i % 8));
    refused(bytes);
    bytes[i] = old;
  }
}

TEST_F(TensorFileTest, DamagedDataIsOnlySeenByTheChecksum) {
  std::string bytes = read_file(file_);
  bytes[4096 + 10] = static_cast<char>(bytes[4096 + 10] ^ 1);
  EXPECT_NE(std::string(refused(bytes).what()).find("damaged"), std::string::npos);
  write_text(folder_ / "bad", bytes);
  const TensorFile trusted(folder_ / "bad", kMagic, "thing", true);
  EXPECT_FALSE(same(trusted.require(0, "k", 5000), a_));
}

TEST_F(TensorFileTest, TensorsMustLieInOrderWithoutGapsOrOverlaps) {
  const Json good = Json::parse(json());
  write_text(folder_ / "good", with_json(good.dump()));
  EXPECT_NO_THROW(TensorFile(folder_ / "good", kMagic, "thing"));
  const auto changed = [&](std::size_t tensor, const char* field, Json value) {
    Json j = good;
    j["tensors"][tensor][field] = std::move(value);
    return refused(with_json(j.dump())).text().where;
  };
  constexpr std::uint64_t kHuge = std::numeric_limits<std::uint64_t>::max();
  EXPECT_EQ(changed(0, "bytes", 4096), "tensor 1");  // leaves a gap
  EXPECT_EQ(changed(0, "bytes", 9000), "tensor 1");  // overlaps
  EXPECT_EQ(changed(0, "bytes", 4999), "tensor 1");  // what is left over is not zero
  EXPECT_EQ(changed(0, "bytes", kHuge), "tensor 0");
  EXPECT_EQ(changed(1, "offset", kHuge - 4095), "tensor 1");
  EXPECT_EQ(changed(1, "offset", 1), "tensor 1");
  EXPECT_EQ(changed(3, "bytes", 2), "tensors");
  EXPECT_EQ(changed(3, "bytes", -1), "tensor 3");
  EXPECT_EQ(changed(3, "bytes", 3.0), "tensor 3");
  EXPECT_EQ(changed(3, "layer", 5000), "tensor 3");
  EXPECT_EQ(changed(3, "layer", nullptr), "tensor 3");
  EXPECT_EQ(changed(3, "name", 5), "tensor 3");
  EXPECT_EQ(changed(3, "xxh3", 5), "tensor 3");
  EXPECT_EQ(changed(1, "name", "k"), "tensor 1");  // a second one
  for (const char* text : {"", "[]", "{}", "{", "null", R"({"tensors":1})", R"({"tensors":[1]})",
                           R"({"tensors":[[]]})", "\xff"})
    refused(with_json(text));
  refused(with_json(std::string(100'000, '[')));
  Json many = good;
  for (int i = 0; i < 20'000; ++i) many["tensors"].push_back(many["tensors"][2]);
  EXPECT_EQ(refused(with_json(many.dump())).text().where, "tensors");
}

TEST_F(TensorFileTest, OtherFilesAreNamed) {
  EXPECT_EQ(error_of([&] { TensorFile(folder_ / "none", kMagic, "thing"); }).code(),
            Exit::kNoInput);
  EXPECT_EQ(error_of([&] { TensorFile(folder_.path(), kMagic, "thing"); }).code(), Exit::kNoInput);
  EXPECT_EQ(error_of([&] { TensorFile(file_, "OTHERFIL", "thing"); }).text().where, "byte 0");
  std::string bytes = read_file(file_);
  bytes[8] = 2;
  EXPECT_EQ(refused(bytes).text().why, "version 2, not 1");
}

TEST_F(TensorFileTest, FailuresLeaveTheOldFile) {
  const std::string old = read_file(file_);
  EXPECT_EQ(error_of([&] { write(file_, false); }).code(), Exit::kCannotCreate);
  for (const FileOp op :
       {FileOp::kOpen, FileOp::kWrite, FileOp::kSync, FileOp::kClose, FileOp::kRename})
    for (int nth = 0; nth < 3; ++nth) {
      int seen = 0;
      set_file_fault_hook(
          [&](FileOp o) { return FileFault{.error = o == op && seen++ == nth ? ENOSPC : 0}; });
      bool failed = false;
      try {
        write(file_, true);
      } catch (const Error& e) {
        failed = true;
        EXPECT_EQ(e.code(), Exit::kIo);
      }
      set_file_fault_hook({});
      EXPECT_TRUE(failed || seen <= nth);
      EXPECT_TRUE(read_file(file_) == old);
      EXPECT_EQ(std::distance(fs::directory_iterator(folder_.path()), {}), 1);
    }
}

}  // namespace
}  // namespace ra::model
