// SPDX-License-Identifier: Apache-2.0
#include "lib/tokenizer/char_class.h"

#include <algorithm>
#include <cstddef>
#include <span>

#include "lib/tokenizer/unicode_tables.h"

namespace ra::tokenizer {
namespace {

// \s of Oniguruma: White_Space of Unicode. (PCRE2's \s also has U+180E.)
constexpr CodePointRange kSpaces[] = {{0x9, 0x9},       {0xb, 0xc},       {0x20, 0x20},
                                      {0x85, 0x85},     {0xa0, 0xa0},     {0x1680, 0x1680},
                                      {0x2000, 0x200a}, {0x2028, 0x2029}, {0x202f, 0x202f},
                                      {0x205f, 0x205f}, {0x3000, 0x3000}};
constexpr CodePointRange kNewlines[] = {{'\n', '\n'}, {'\r', '\r'}};

}  // namespace

CharClasses::CharClasses() {
  const auto assign = [this](std::span<const CodePointRange> ranges, CharClass value) {
    classes_.resize(std::max<std::size_t>(classes_.size(), ranges.back().last + 1));
    for (const auto& [first, last] : ranges)
      std::fill(classes_.begin() + first, classes_.begin() + last + 1, value);
  };
  assign(unicode_letters(), CharClass::kLetter);
  assign(unicode_numbers(), CharClass::kNumber);
  assign(unicode_later_digits(), CharClass::kLaterDigit);
  assign(kSpaces, CharClass::kSpace);
  assign(kNewlines, CharClass::kNewline);
}

const CharClasses& CharClasses::get() {
  static const CharClasses classes;
  return classes;
}

}  // namespace ra::tokenizer
