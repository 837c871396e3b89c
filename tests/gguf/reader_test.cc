// SPDX-License-Identifier: Apache-2.0
#include "lib/gguf/reader.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "lib/core/hash.h"
#include "lib/core/json.h"
#include "tests/gguf/tiny_file.h"
#include "tests/support/temp_folder.h"

namespace ra::gguf {
namespace {

using ra::testing::TempFolder;

// The tests run in the root of the repository.
const std::filesystem::path kGolden = "tests/golden/gguf";

class GoldenTest : public ::testing::TestWithParam<LoadMode> {};
INSTANTIATE_TEST_SUITE_P(Modes, GoldenTest, ::testing::Values(LoadMode::kMmap, LoadMode::kRead),
                         [](const auto& test) {
                           return test.param == LoadMode::kMmap ? "Mmap" : "Read";
                         });

// tensor_hashes.json holds what PyPI gguf reads from the same files.
TEST_P(GoldenTest, TensorsEqualThoseOfPyPiGguf) {
  const Json models = Json::parse(std::ifstream(kGolden / "tensor_hashes.json"));
  ASSERT_GE(models.size(), 7u);
  for (const auto& [name, model] : models.items()) {
    const auto file = File::open(kGolden / name, {.mode = GetParam()});
    EXPECT_EQ(file->sha256(), model["sha256"]) << name;
    EXPECT_TRUE(file->warnings().empty()) << name;
    ASSERT_EQ(file->metadata().size(), model["keys"].size());
    for (std::size_t i = 0; i < model["keys"].size(); ++i)
      EXPECT_EQ(file->metadata()[i].first, model["keys"][i]);
    ASSERT_EQ(file->tensors().size(), model["tensors"].size());
    for (std::size_t i = 0; i < file->tensors().size(); ++i) {
      const Tensor& t = file->tensors()[i];
      const Json& expected = model["tensors"][i];
      EXPECT_EQ(t.name, expected["name"]) << name;
      EXPECT_EQ(t.type, expected["type"]) << name << " " << t.name;
      EXPECT_EQ(t.dims, expected["dims"].get<std::vector<std::uint64_t>>()) << name << t.name;
      EXPECT_EQ(t.file_offset, expected["offset"]) << name << " " << t.name;
      EXPECT_EQ(sha256_hex(std::span(t.data, t.bytes)), expected["sha256"]) << name << t.name;
      EXPECT_EQ(file->tensor(t.name), &t);
    }
  }
}

TEST(ReaderTest, FixturesHoldAModelAndItsVocabulary) {
  const auto file = File::open(kGolden / "qwen2-q5_0.gguf");
  EXPECT_EQ(file->version(), 3u);
  EXPECT_EQ(file->require_string("general.architecture"), "qwen2");
  EXPECT_EQ(file->require_integer("qwen2.attention.head_count_kv"), 2);
  EXPECT_EQ(file->require_number("qwen2.rope.freq_base"), 1e6);
  EXPECT_EQ(file->boolean("tokenizer.ggml.add_bos_token"), false);
  const auto* tokens = file->array<std::string>("tokenizer.ggml.tokens");
  ASSERT_NE(tokens, nullptr);
  EXPECT_EQ(tokens->size(), file->tensor("token_embd.weight")->rows());
  EXPECT_EQ(file->array<std::int64_t>("tokenizer.ggml.token_type")->size(), tokens->size());
}

TEST(ReaderTest, TypedLookUpsNameKeyAndType) {
  GgufWriter w;
  w.u32("int", 7).f32("float", 0.5f).boolean("bool", 1).string("text", "x");
  w.strings("words", {"a"}).numbers<std::uint8_t>("flags", ra::testing::kBool, {1});
  const InMemory copy(w.bytes());
  const auto file = File::from_memory(copy.buffer.span(), "m.gguf");

  EXPECT_EQ(file->integer("int"), 7);
  EXPECT_EQ(file->number("float"), 0.5);
  EXPECT_EQ(file->number("int"), 7.0) << "an integer is a number too";
  EXPECT_EQ(file->boolean("bool"), true);
  EXPECT_EQ(file->string("text"), "x");
  EXPECT_EQ(*file->array<std::uint8_t>("flags"), std::vector<std::uint8_t>{1});
  EXPECT_FALSE(file->integer("absent"));
  EXPECT_EQ(file->array<double>("absent"), nullptr);
  EXPECT_EQ(file->tensor("absent"), nullptr);

  const auto line = [](auto&& f) {
    try {
      f();
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), Exit::kBadData);
      return std::string(e.what());
    }
    return std::string("no error");
  };
  EXPECT_EQ(line([&] { file->integer("float"); }),
            "bad metadata: m.gguf: float: is a number, not an integer");
  EXPECT_EQ(line([&] { file->boolean("int"); }),
            "bad metadata: m.gguf: int: is an integer, not a bool");
  EXPECT_EQ(line([&] { file->string("words"); }),
            "bad metadata: m.gguf: words: is an array of strings, not a string");
  EXPECT_EQ(line([&] { file->array<std::int64_t>("words"); }),
            "bad metadata: m.gguf: words: is an array of strings, not an array of integers");
  EXPECT_EQ(line([&] { file->number("text"); }),
            "bad metadata: m.gguf: text: is a string, not a number");
  EXPECT_EQ(line([&] { file->require_integer("absent"); }),
            "bad metadata: m.gguf: absent: this key is missing");
  EXPECT_EQ(line([&] { file->require_string("absent"); }),
            "bad metadata: m.gguf: absent: this key is missing");
  EXPECT_EQ(line([&] { file->require_number("absent"); }),
            "bad metadata: m.gguf: absent: this key is missing");
}

TEST(ReaderTest, OpensOnlyRegularFiles) {
  const TempFolder folder;
  const auto code = [](const std::filesystem::path& path, const OpenOptions& options = {}) {
    try {
      File::open(path, options);
    } catch (const Error& e) {
      return e.code();
    }
    return Exit::kOk;
  };
  ASSERT_EQ(mkfifo((folder / "fifo").c_str(), 0600), 0);
  ra::testing::write_text(folder / "empty", "");
  for (const LoadMode mode : {LoadMode::kMmap, LoadMode::kRead}) {
    EXPECT_EQ(code(folder / "absent", {mode}), Exit::kNoInput);
    EXPECT_EQ(code(folder / "fifo", {mode}), Exit::kNoInput);
    EXPECT_EQ(code(folder.path(), {mode}), Exit::kNoInput);
    EXPECT_EQ(code("/dev/zero", {mode}), Exit::kNoInput);
    EXPECT_EQ(code(folder / "empty", {mode}), Exit::kBadData);
  }
}

TEST(ReaderTest, NoticesAChangedFile) {
  const TempFolder folder;
  for (const LoadMode mode : {LoadMode::kMmap, LoadMode::kRead}) {
    const auto path = folder / "m.gguf";
    tiny_writer().save(path.string());
    const auto file = File::open(path, {.mode = mode});
    file->check_unchanged();
    std::ofstream(path, std::ios::app) << "more";
    try {
      file->check_unchanged();
      ADD_FAILURE() << "unnoticed";
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), Exit::kIo);
    }
  }
}

TEST(ReaderTest, HashesTheWholeFileOnce) {
  const InMemory copy(tiny_writer().bytes());
  const auto file = File::from_memory(copy.buffer.span(), "m.gguf");
  EXPECT_EQ(file->sha256(), sha256_hex(copy.buffer.span()));
  EXPECT_EQ(file->sha256(), file->sha256());
  EXPECT_EQ(file->path(), "m.gguf");
}

}  // namespace
}  // namespace ra::gguf
