// SPDX-License-Identifier: Apache-2.0
// The character classes that the pre-split rules are written in.
#pragma once

#include <cstdint>
#include <vector>

namespace ra::tokenizer {

enum class CharClass : std::uint8_t {
  kOther,
  kLetter,      // \p{L}
  kNumber,      // \p{N}
  kLaterDigit,  // kOther for the regular expressions, a digit for the digit splitter of smollm
  kSpace,       // \s without the two below
  kNewline,     // \r \n
};

// One byte per code point up to the last that has a class; 200 KB, built once.
class CharClasses {
 public:
  static const CharClasses& get();
  CharClass operator[](char32_t c) const {
    return c < classes_.size() ? classes_[c] : CharClass::kOther;
  }

 private:
  CharClasses();
  std::vector<CharClass> classes_;
};

}  // namespace ra::tokenizer
