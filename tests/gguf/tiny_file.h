// SPDX-License-Identifier: Apache-2.0
// What the tests of this module share: a small good file, and what the reader says of a bad one.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "lib/core/error.h"
#include "lib/core/matrix.h"
#include "lib/gguf/reader.h"
#include "tests/support/gguf_writer.h"

namespace ra::gguf {

using ra::testing::Bytes;
using ra::testing::GgufWriter;

// Three keys; an F32 matrix [4, 3], a Q8_0 matrix [64, 2] and an F32 vector [5].
inline GgufWriter tiny_writer() {
  GgufWriter w;
  w.string("general.architecture", "llama").u32("llama.block_count", 2);
  w.strings("tokenizer.ggml.tokens", {"a", "b", "c"});
  w.f32_tensor("a.weight", {4, 3});
  Bytes q8;
  for (int block = 0; block < 4; ++block) q8.put<std::uint16_t>(0x3c00).zeros(32);
  w.tensor("b.weight", {64, 2}, 8, q8.data);
  w.f32_tensor("c.bias", {5}, 100.0f);
  return w;
}

// Keeps a 64-byte aligned copy, as mapped files are, with nothing readable behind it under ASan.
struct InMemory {
  explicit InMemory(std::span<const std::byte> bytes) : buffer(bytes.size()) {
    std::copy(bytes.begin(), bytes.end(), buffer.data());
  }
  AlignedBuffer<std::byte> buffer;
};

// "" if the bytes are accepted, else the message; any other code than 65 is a failure.
inline std::string refusal_of(std::span<const std::byte> bytes, const OpenOptions& options = {}) {
  const InMemory copy(bytes);
  try {
    File::from_memory(copy.buffer.span(), "m.gguf", options);
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Exit::kBadData) << e.what();
    EXPECT_EQ(e.text().file, "m.gguf");
    EXPECT_FALSE(e.text().where.empty()) << e.what();
    return e.what();
  }
  return "";
}

}  // namespace ra::gguf
