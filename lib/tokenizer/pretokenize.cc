// SPDX-License-Identifier: Apache-2.0
#include "lib/tokenizer/pretokenize.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "lib/tokenizer/char_class.h"
#include "lib/tokenizer/code_points.h"

namespace ra::tokenizer {
namespace {

bool is_space(CharClass c) { return c == CharClass::kSpace || c == CharClass::kNewline; }
bool is_number(CharClass c) { return c == CharClass::kNumber; }
bool is_letter(CharClass c) { return c == CharClass::kLetter; }
// [^\s\p{L}\p{N}]
bool is_other(CharClass c) { return c == CharClass::kOther || c == CharClass::kLaterDigit; }

class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text), classes_(CharClasses::get()) {}

  struct Char {
    CharClass cls;
    char32_t value;
    std::size_t end;  // offset behind it
  };
  bool at_end(std::size_t i) const { return i >= text_.size(); }
  Char at(std::size_t i) const {
    const CodePoint c = code_point_at(text_, i);
    return {classes_[c.value], c.value, i + c.bytes};
  }
  // Does a character of this kind start at i?
  template <class Kind>
  bool is(std::size_t i, Kind kind) const {
    return !at_end(i) && kind(at(i).cls);
  }
  // Offset behind the run of such characters that starts at i, at most `limit` of them.
  template <class Kind>
  std::size_t skip(std::size_t i, Kind kind, std::size_t limit = SIZE_MAX) const {
    for (; limit > 0 && !at_end(i); --limit) {
      const Char c = at(i);
      if (!kind(c.cls)) break;
      i = c.end;
    }
    return i;
  }

  // 's|'t|'re|'ve|'m|'ll|'d at i: offset behind it, or i. Oniguruma's (?i:) folds U+017F to s.
  std::size_t contraction_end(std::size_t i, bool any_case) const {
    if (text_[i] != '\'' || at_end(i + 1)) return i;
    const auto folded = [&](std::size_t k) -> char32_t {
      if (at_end(k)) return 0;
      const char32_t c = at(k).value;
      if (!any_case) return c;
      return c >= 'A' && c <= 'Z' ? c + 32 : c == U'\u017f' ? U's' : c;
    };
    const char32_t a = folded(i + 1);
    if (a == 's' || a == 't' || a == 'm' || a == 'd') return at(i + 1).end;
    if (a != 'r' && a != 'v' && a != 'l') return i;
    const bool two = folded(i + 2) == (a == 'l' ? U'l' : U'e');
    return two ? i + 3 : i;
  }

  // \s+(?!\S)|\s+ over the whitespace [begin, end): the last space stays with the word behind it.
  std::size_t whitespace_end(std::size_t begin, std::size_t end, bool word_follows) const {
    if (!word_follows) return end;
    std::size_t last = end - 1;  // start of the last character
    while ((static_cast<unsigned char>(text_[last]) & 0xc0) == 0x80) --last;
    return last > begin ? last : end;
  }

 private:
  std::string_view text_;
  const CharClasses& classes_;
};

// Each digit alone (a separate splitter, so that the rest never sees past a digit), then GPT-2's
// 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
std::size_t smollm_piece(std::string_view text, std::size_t begin) {
  const Scanner s(text);
  const auto is_digit = [](CharClass c) { return is_number(c) || c == CharClass::kLaterDigit; };
  const auto is_plain_other = [](CharClass c) { return c == CharClass::kOther; };
  const Scanner::Char first = s.at(begin);
  if (is_digit(first.cls)) return first.end;
  if (const std::size_t end = s.contraction_end(begin, /*any_case=*/false); end > begin) return end;
  const std::size_t body = first.value == ' ' ? first.end : begin;
  if (s.is(body, is_letter)) return s.skip(body, is_letter);
  if (s.is(body, is_plain_other)) return s.skip(body, is_plain_other);
  const std::size_t end = s.skip(begin, is_space);
  return s.whitespace_end(begin, end, !s.at_end(end) && !s.is(end, is_digit));
}

// (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,kDigits}
//   | ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
template <std::size_t kDigits>
std::size_t llama_piece(std::string_view text, std::size_t begin) {
  const Scanner s(text);
  const auto is_newline = [](CharClass c) { return c == CharClass::kNewline; };
  const Scanner::Char first = s.at(begin);
  if (is_letter(first.cls)) return s.skip(begin, is_letter);
  if (is_number(first.cls)) return s.skip(begin, is_number, kDigits);
  if (const std::size_t end = s.contraction_end(begin, /*any_case=*/true); end > begin) return end;
  if (!is_newline(first.cls) && s.is(first.end, is_letter)) return s.skip(first.end, is_letter);
  const std::size_t body = first.value == ' ' ? first.end : begin;
  if (s.is(body, is_other)) return s.skip(s.skip(body, is_other), is_newline);
  // Whitespace up to and with its last line break, if it has one.
  std::size_t end = begin, behind_newline = begin;
  while (s.is(end, is_space)) {
    const Scanner::Char c = s.at(end);
    end = c.end;
    if (is_newline(c.cls)) behind_newline = end;
  }
  return behind_newline > begin ? behind_newline : s.whitespace_end(begin, end, !s.at_end(end));
}

// smollm: SmolLM, SmolLM2. qwen2: Qwen2, Qwen2.5 (the only one whose tokenizer.json normalises).
// llama-bpe: Llama 3 (tokenizer.json sets ignore_merges).
constexpr std::array kRules{
    PreRule{.name = "smollm", .piece_end = smollm_piece},
    PreRule{.name = "qwen2", .piece_end = llama_piece<1>, .nfc = true},
    PreRule{.name = "llama-bpe", .piece_end = llama_piece<3>, .whole_pieces = true},
};

}  // namespace

std::span<const PreRule> pre_rules() { return kRules; }

const PreRule* find_pre_rule(std::string_view name) {
  const auto it = std::ranges::find(kRules, name, &PreRule::name);
  return it == kRules.end() ? nullptr : &*it;
}

}  // namespace ra::tokenizer
