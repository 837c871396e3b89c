// SPDX-License-Identifier: Apache-2.0
#include "apps/bench/needle_prompt.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "lib/bench/haystack.h"

namespace ra::bench_app {
namespace {

constexpr std::string_view kTurnBegin = "<|im_start|>", kTurnEnd = "<|im_end|>";
// Digits are often tokens of their own: seven, a separator, and words before the number.
constexpr int kAnswerTokensPerValue = 16;

std::string turn_begin(std::string_view role) {
  return std::string(kTurnBegin) + std::string(role) + "\n";
}
std::string turn_end() { return std::string(kTurnEnd) + "\n"; }

bool is_control(const tokenizer::Vocab& vocab, std::size_t id) {
  return !vocab.types.empty() && vocab.types[id] == tokenizer::TokenType::kControl;
}

}  // namespace

bool has_chat_tokens(const tokenizer::Vocab& vocab) {
  return std::ranges::all_of(std::array{kTurnBegin, kTurnEnd}, [&](std::string_view spelling) {
    const auto it = std::ranges::find(vocab.tokens, spelling);
    return it != vocab.tokens.end() &&
           is_control(vocab, static_cast<std::size_t>(it - vocab.tokens.begin()));
  });
}

NeedlePrompt::NeedlePrompt(const tokenizer::Tokenizer& tokenizer, bench::NeedleSet needles,
                           bool chat)
    : tokenizer_(tokenizer), chat_(chat), needles_(std::move(needles.needles)) {
  const std::string task =
      "A few facts are hidden in the text below. Remember them: there will be a question about "
      "them at the end.\n\n";
  begin_ = encode(chat ? turn_begin("system") + "You are a helpful assistant." + turn_end() +
                             turn_begin("user") + task
                       : task,
                  /*first=*/true);
  for (bench::NeedleQuestion& q : needles.questions) {
    const std::string ask =
        "\n\nThe text ends here. " + q.question +
        (chat ? " Answer in one short sentence." + turn_end() + turn_begin("assistant") : " ") +
        q.answer_start;
    const int limit = kAnswerTokensPerValue * static_cast<int>(q.values.size());
    questions_.push_back({std::move(q), encode(ask), limit});
  }
}

std::vector<std::int32_t> NeedlePrompt::encode(const std::string& text, bool first) const {
  return tokenizer_.encode(text, {.add_bos = first, .parse_special = true});
}

// Behind a line or a sentence.
bool NeedlePrompt::is_break(std::span<const std::int32_t> text, std::int64_t p) const {
  const std::string before = tokenizer_.token_bytes(text[static_cast<std::size_t>(p - 1)]);
  if (before.ends_with('\n')) return true;
  if (before.empty() || std::string_view(".!?").find(before.back()) == std::string_view::npos)
    return false;
  const std::string after = tokenizer_.token_bytes(text[static_cast<std::size_t>(p)]);
  return after.starts_with(' ') || after.starts_with('\n');
}

NeedlePrompt::Context NeedlePrompt::context(std::span<const std::int32_t> text,
                                            std::int64_t length) const {
  const tokenizer::Vocab& vocab = tokenizer_.vocab();
  if (vocab.add_bos && !text.empty() && text.front() == vocab.bos) text = text.subspan(1);
  std::vector<bench::Hidden> hidden;
  for (const bench::Needle& needle : needles_)
    hidden.push_back({needle.depth, encode(needle.text)});
  const std::int64_t begin = std::ssize(begin_);
  bench::Haystack haystack = bench::hide(text, std::max<std::int64_t>(0, length - begin), hidden,
                                         [&](std::int64_t p) { return is_break(text, p); });
  Context out{begin_, std::move(haystack.positions)};
  for (std::int64_t& position : out.positions) position += begin;
  out.ids.insert(out.ids.end(), haystack.ids.begin(), haystack.ids.end());
  const auto rest = text.subspan(static_cast<std::size_t>(haystack.text_used));
  out.ids.insert(out.ids.end(), rest.begin(), rest.end());
  return out;
}

std::int64_t NeedlePrompt::room() const {
  std::int64_t most = 0;
  for (const AskedQuestion& q : questions_)
    most = std::max<std::int64_t>(most, std::ssize(q.ids) + q.answer_limit);
  return most;
}

bool NeedlePrompt::ends_answer(std::int32_t id) const {
  return id == tokenizer_.vocab().eos ||
         is_control(tokenizer_.vocab(), static_cast<std::size_t>(id));
}

}  // namespace ra::bench_app
