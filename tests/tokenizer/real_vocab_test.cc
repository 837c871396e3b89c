// SPDX-License-Identifier: Apache-2.0
// The vocabularies of real models against PyPI `tokenizers` and `sentencepiece`: all tokens, all
// code points below U+30000 alone and in text, 10,000 random strings, runs of a million characters.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "lib/gguf/reader.h"
#include "lib/model/load.h"
#include "tests/tokenizer/fixture.h"

namespace ra::tokenizer {
namespace {

std::filesystem::path cached_model(const std::string& name) {
  const auto variable = [](const char* v) {
    const char* value = std::getenv(v);
    return std::filesystem::path(value == nullptr ? "" : value);
  };
  std::filesystem::path cache = variable("RA_CACHE_DIR");
  if (cache.empty()) {
    cache = variable("XDG_CACHE_HOME");
    if (cache.empty()) cache = variable("HOME") / ".cache";
    cache /= "retrieval-attention";
  }
  return cache / "models" / (name + ".gguf");
}

struct Pairing {
  const char* model;
  const char* rule;  // Llama 3's own vocabulary is not free to fetch: its rule runs on Qwen's
};

class RealVocabulary : public testing::TestWithParam<Pairing> {
 protected:
  void SetUp() override {
    const auto& [model, rule] = GetParam();
    const std::filesystem::path path = cached_model(model);
    if (!std::filesystem::exists(path))
      GTEST_SKIP() << "no " << path << ": datasets/fetch " << model << " gets it";
    golden_ = read_golden(std::string(model) + "." + rule + ".json");
    Vocab vocab = model::load_vocab(*gguf::File::open(path, {.check_tensors = false}));
    vocab.pre = rule;
    vocab.add_bos = false;  // the fixtures are without
    tokenizer_ = Tokenizer::create(std::move(vocab));
  }
  Json golden_;
  std::unique_ptr<Tokenizer> tokenizer_;
};

TEST_P(RealVocabulary, IsIdenticalToTheOracle) {
  EXPECT_EQ(tokenizer_->dropped_merges(), 0u);
  expect_identical(*tokenizer_, golden_);
}

TEST_P(RealVocabulary, MillionEqualCharacters) {
  for (std::size_t i = 0; i < golden_["long_runs"].size(); ++i)
    expect_identical_run(*tokenizer_, golden_, i);
}

INSTANTIATE_TEST_SUITE_P(Models, RealVocabulary,
                         testing::Values(Pairing{"smollm2", "smollm"}, Pairing{"qwen", "qwen2"},
                                         Pairing{"qwen", "llama-bpe"},
                                         Pairing{"gemma3", "default"}),
                         [](const auto& test) {
                           std::string name = std::string(test.param.model) + test.param.rule;
                           std::erase(name, '-');
                           return name;
                         });

}  // namespace
}  // namespace ra::tokenizer
