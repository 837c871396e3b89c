// SPDX-License-Identifier: Apache-2.0
#include "lib/gguf/header.h"

#include <gtest/gtest.h>

#include "tests/gguf/tiny_file.h"

namespace ra::gguf {
namespace {

std::string refused_text(std::string_view text) { return refusal_of(Bytes().raw(text).data); }

void expect_part(const std::string& line, std::string_view part) {
  EXPECT_NE(line.find(part), std::string::npos) << "'" << line << "' lacks '" << part << "'";
}

TEST(HeaderTest, ReadsVersionAndCounts) {
  const auto bytes = tiny_writer().bytes();
  Cursor in(bytes, "f");
  const Header header = read_header(in);
  EXPECT_EQ(header.version, 3u);
  EXPECT_EQ(header.tensors, 3u);
  EXPECT_EQ(header.keys, 3u);
  EXPECT_EQ(in.offset(), 24u);
}

TEST(HeaderTest, NamesWhatTheFileIsInstead) {
  expect_part(refused_text(""), "the file is empty");
  expect_part(refused_text("GG"), "magic needs 4 bytes, 2 left");
  expect_part(refused_text("RIFF...."), "magic is 'RIFF', not 'GGUF'");
  expect_part(refused_text("<!DOCTYPE html><html>"), "an HTML page");
  expect_part(refused_text("<html><head>"), "an HTML page");
  expect_part(refused_text("version https://git-lfs.github.com/spec/v1\n"), "a Git LFS pointer");
  expect_part(refused_text("tjgg...."), "older than GGUF");
  expect_part(refused_text("PK\x03\x04...."), "a zip or PyTorch file");
  expect_part(refused_text("FUGG...."), "byte-swapped GGUF");
}

TEST(HeaderTest, NamesVersionsThatAreNotRead) {
  auto w = tiny_writer();
  w.version = 2;
  EXPECT_EQ(refusal_of(w.bytes()), "");
  w.version = 0;
  expect_part(refusal_of(w.bytes()), "GGUF version 0 is unknown");
  w.version = 1;
  expect_part(refusal_of(w.bytes()), "GGUF version 1 is not supported");
  w.version = 4;
  expect_part(refusal_of(w.bytes()), "GGUF version 4 is unknown");
  w.version = 0x03000000;
  expect_part(refusal_of(w.bytes()), "byte-swapped (big-endian) GGUF version 3");
}

TEST(HeaderTest, CountsMustFitTheFile) {
  auto w = tiny_writer();
  w.tensor_count = 1'000'001;
  expect_part(refusal_of(w.bytes()), "1000001 tensors, the limit is 1000000");
  w.tensor_count = 1'000;
  expect_part(refusal_of(w.bytes()), "1000 tensors of at least 32 bytes do not fit");
  w.tensor_count = ~std::uint64_t{0};
  expect_part(refusal_of(w.bytes()), "the limit is 1000000");
  w.tensor_count.reset();
  w.key_count = 65'537;
  expect_part(refusal_of(w.bytes()), "65537 keys, the limit is 65536");
  w.key_count = 60'000;
  expect_part(refusal_of(w.bytes()), "60000 keys of at least 13 bytes do not fit");
}

}  // namespace
}  // namespace ra::gguf
