// SPDX-License-Identifier: Apache-2.0
#include "lib/gguf/tensor_table.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstring>

#include "kernels/quant.h"
#include "tests/gguf/tiny_file.h"

namespace ra::gguf {
namespace {

struct Opened {
  explicit Opened(const GgufWriter& w)
      : copy(w.bytes()), file(File::from_memory(copy.buffer.span(), "m.gguf")) {}
  InMemory copy;
  std::unique_ptr<File> file;
};

float first_float(const Tensor* t) {
  float value = 0;
  std::memcpy(&value, t->data, sizeof value);
  return value;
}

TEST(TensorTableTest, PointsIntoTheDataAtEveryAlignment) {
  for (std::uint32_t alignment = 8; alignment <= 4096; alignment *= 2) {
    GgufWriter w = tiny_writer();
    w.alignment_key(alignment);
    const Opened opened(w);
    ASSERT_EQ(opened.file->tensors().size(), 3u);
    EXPECT_EQ(opened.file->tensors()[0].name, "a.weight");
    const Tensor* c = opened.file->tensor("c.bias");
    ASSERT_NE(c, nullptr);
    EXPECT_EQ(first_float(c), 100.0f) << alignment;
    EXPECT_EQ(c->file_offset % alignment, 0u);
    EXPECT_EQ(c->bytes, 20u);
    EXPECT_EQ(opened.file->tensor("b.weight")->bytes, 4u * 34u);
    EXPECT_TRUE(opened.file->warnings().empty());
  }
}

TEST(TensorTableTest, ShapesAreColumnsAndRows) {
  GgufWriter w;
  w.f32_tensor("one", {1});
  w.f32_tensor("four", {4, 3, 2, 5});
  const Opened opened(w);
  EXPECT_EQ(opened.file->tensor("one")->rows(), 1u);
  EXPECT_EQ(opened.file->tensor("four")->cols(), 4u);
  EXPECT_EQ(opened.file->tensor("four")->rows(), 30u);
  EXPECT_EQ(opened.file->tensor("four")->dims, (std::vector<std::uint64_t>{4, 3, 2, 5}));
}

TEST(TensorTableTest, EverySupportedTypeHasItsSize) {
  GgufWriter w;
  for (const auto& quant : kernels::all_quants())
    w.tensor(std::string(quant.name), {quant.block * 2, 3}, static_cast<std::uint32_t>(quant.id),
             std::vector<std::byte>(quant.block_bytes * 6));
  const Opened opened(w);
  for (const auto& quant : kernels::all_quants())
    EXPECT_EQ(opened.file->tensor(quant.name)->bytes, quant.block_bytes * 6) << quant.name;
}

TEST(TensorTableTest, TensorsMayLieInAnyOrder) {
  GgufWriter w;
  w.f32_tensor("first", {8}, 1.0f).offset = 32;
  w.f32_tensor("second", {8}, 50.0f).offset = 0;
  const Opened opened(w);  // written in record order: "second"'s bytes come last
  EXPECT_EQ(first_float(opened.file->tensor("second")), 1.0f);
  EXPECT_EQ(first_float(opened.file->tensor("first")), 50.0f);
}

TEST(TensorTableTest, TheLastTensorNeedsNoPadding) {
  GgufWriter w = tiny_writer();
  w.pad_last = false;
  EXPECT_EQ(refusal_of(w.bytes()), "");
}

TEST(TensorTableTest, AFileWithoutTensorsIsAVocabulary) {
  GgufWriter w;
  w.string("general.architecture", "llama");
  const Opened opened(w);
  EXPECT_TRUE(opened.file->tensors().empty());
  EXPECT_TRUE(opened.file->warnings().empty());
}

TEST(TensorTableTest, BytesOfNoTensorAreAWarning) {
  GgufWriter w = tiny_writer();
  EXPECT_TRUE(Opened(w).file->warnings().empty()) << "padding of the last tensor";
  w.trailing = 32;
  const Opened opened(w);
  ASSERT_EQ(opened.file->warnings().size(), 1u);
  EXPECT_NE(opened.file->warnings()[0].find("bytes belong to no tensor"), std::string::npos);
}

// A million records parse in linear time; quadratic duplicate checks took minutes elsewhere.
TEST(TensorTableTest, ManyTensorsLoad) {
  GgufWriter w;
  for (int i = 0; i < 50'000; ++i) w.f32_tensor(fmt::format("t{}", i), {1});
  const Opened opened(w);
  EXPECT_EQ(first_float(opened.file->tensor("t49999")), 1.0f);
}

}  // namespace
}  // namespace ra::gguf
