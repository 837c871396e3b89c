// SPDX-License-Identifier: Apache-2.0
#include "lib/tokenizer/byte_alphabet.h"

#include <array>

#include "lib/tokenizer/code_points.h"

namespace ra::tokenizer {
namespace {

constexpr char32_t kFirstExtra = 0x100;
constexpr std::size_t kExtras = 68;

constexpr bool spells_itself(unsigned byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
}

struct Alphabet {
  std::array<char32_t, 256> code_point{};
  std::array<unsigned char, kFirstExtra + kExtras> byte{};
  std::array<bool, kFirstExtra + kExtras> known{};

  constexpr Alphabet() {
    char32_t extra = kFirstExtra;
    for (unsigned b = 0; b < 256; ++b) {
      code_point[b] = spells_itself(b) ? b : extra++;
      byte[code_point[b]] = static_cast<unsigned char>(b);
      known[code_point[b]] = true;
    }
  }
};
constexpr Alphabet kAlphabet;
static_assert(kAlphabet.code_point[' '] == U'\u0120' && kAlphabet.known.back());

}  // namespace

std::string spell_bytes(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) append_utf8(kAlphabet.code_point[static_cast<unsigned char>(c)], out);
  return out;
}

std::optional<std::string> read_spelling(std::string_view spelling) {
  std::string out;
  for (std::size_t i = 0; i < spelling.size();) {
    const CodePoint c = checked_code_point(spelling, i);
    if (c.bytes == 0 || c.value >= kAlphabet.known.size() || !kAlphabet.known[c.value])
      return std::nullopt;
    out.push_back(static_cast<char>(kAlphabet.byte[c.value]));
    i += c.bytes;
  }
  return out;
}

}  // namespace ra::tokenizer
