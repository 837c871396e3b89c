// SPDX-License-Identifier: Apache-2.0
// The prompt of a context whose text hides needles, and the questions as tokens to go on with.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "lib/bench/needles.h"
#include "lib/tokenizer/tokenizer.h"

namespace ra::bench_app {

struct AskedQuestion {
  bench::NeedleQuestion question;
  std::vector<std::int32_t> ids;  // to be decoded after the prompt; the answer follows
  int answer_limit = 0;           // tokens
};

// Needles and questions in the tokens of one vocabulary, for contexts of any length.
class NeedlePrompt {
 public:
  // `chat`: as a conversation in ChatML (a user gives the text and asks; the answer is the
  // assistant's), otherwise as a text to be completed. Both begin the answer. `tokenizer` must
  // outlive it.
  NeedlePrompt(const tokenizer::Tokenizer& tokenizer, bench::NeedleSet needles, bool chat);

  struct Context {
    std::vector<std::int32_t> ids;        // the prompt, then the text that follows what is in it
    std::vector<std::int64_t> positions;  // of the needles, ascending
  };
  // A prompt of `length` tokens and all of the text behind it. Requires text.size() >= length; a
  // BOS in front of the text becomes one of the prompt. Throws as bench::hide.
  Context context(std::span<const std::int32_t> text, std::int64_t length) const;

  const std::vector<AskedQuestion>& questions() const { return questions_; }
  bool chat() const { return chat_; }
  // Tokens that the longest question and its answer take.
  std::int64_t room() const;
  bool ends_answer(std::int32_t id) const;  // a control token

 private:
  std::vector<std::int32_t> encode(const std::string& text, bool first = false) const;
  bool is_break(std::span<const std::int32_t> text, std::int64_t p) const;

  const tokenizer::Tokenizer& tokenizer_;
  bool chat_;
  std::vector<std::int32_t> begin_;  // before the text
  std::vector<bench::Needle> needles_;
  std::vector<AskedQuestion> questions_;
};

// The vocabulary has the control tokens of ChatML.
bool has_chat_tokens(const tokenizer::Vocab& vocab);

}  // namespace ra::bench_app
