// SPDX-License-Identifier: Apache-2.0
#include "lib/core/hash.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "lib/core/error.h"

namespace ra {
namespace {

constexpr const char* kAbc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
constexpr const char* kEmpty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

std::span<const std::byte> bytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

TEST(Hash, Sha256TestVectors) {  // FIPS 180-4
  EXPECT_EQ(sha256_hex(std::string("abc")), kAbc);
  EXPECT_EQ(sha256_hex(std::string()), kEmpty);
  EXPECT_EQ(sha256_hex(std::string(1'000'000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Hash, Sha256InParts) {
  Sha256 hash;
  hash.update(bytes("a"));
  hash.update({});
  hash.update(bytes("bc"));
  EXPECT_EQ(hash.hex(), kAbc);
}

TEST(Hash, Sha256OfAFile) {
  const auto path = std::filesystem::path(testing::TempDir()) / "hash_test.bin";
  std::ofstream(path, std::ios::binary) << std::string(3 << 20, 'x') << "end";
  EXPECT_EQ(sha256_file(path), sha256_hex(std::string(3 << 20, 'x') + "end"));
  std::ofstream(path, std::ios::binary | std::ios::trunc).close();
  EXPECT_EQ(sha256_file(path), kEmpty);
  std::filesystem::remove(path);
}

TEST(Hash, UnreadableFilesAreErrors) {
  const auto code = [](const std::filesystem::path& path) {
    try {
      (void)sha256_file(path);
    } catch (const Error& e) {
      EXPECT_EQ(e.text().file, path);
      return e.code();
    }
    return Exit::kOk;
  };
  EXPECT_EQ(code(std::filesystem::path(testing::TempDir()) / "no such file"), Exit::kNoInput);
  EXPECT_EQ(code(testing::TempDir()), Exit::kIo);  // a directory
}

TEST(Hash, Xxh3TestVectors) {
  EXPECT_EQ(xxh3_64({}), 0x2d06800538d394c2u);
  EXPECT_EQ(xxh3_64(bytes("abc")), 0x78af5f94892f3950u);
}

TEST(Hash, Xxh3InParts) {
  Xxh3 hash;
  EXPECT_EQ(hash.digest(), xxh3_64({}));
  hash.update(bytes("a"));
  hash.update({});
  hash.update(bytes("bc"));
  EXPECT_EQ(hash.digest(), 0x78af5f94892f3950u);
  const std::string text(100'000, 'x');  // beyond the short-input paths
  for (std::size_t i = 0; i < text.size(); i += 777)
    hash.update(bytes(std::string_view(text).substr(i, 777)));
  EXPECT_EQ(hash.digest(), xxh3_64(bytes("abc" + text)));
}

}  // namespace
}  // namespace ra
