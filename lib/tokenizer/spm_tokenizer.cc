// SPDX-License-Identifier: Apache-2.0
#include "lib/tokenizer/spm_tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "lib/core/error.h"
#include "lib/core/utf8.h"
#include "lib/tokenizer/special_tokens.h"
#include "lib/tokenizer/spm.h"
#include "lib/tokenizer/vocab_check.h"

namespace ra::tokenizer {
namespace {

constexpr std::string_view kSpace = "\u2581";  // how pieces spell a space

std::string spell_spaces(std::string_view text) {
  std::string out;
  out.reserve(text.size() + text.size() / 2);
  for (const char c : text) c == ' ' ? out.append(kSpace) : out.append(1, c);
  return out;
}

std::string read_spaces(std::string_view piece) {
  std::string out;
  while (!piece.empty()) {
    const bool space = piece.starts_with(kSpace);
    out += space ? ' ' : piece.front();
    piece.remove_prefix(space ? kSpace.size() : 1);
  }
  return out;
}

class SpmTokenizer final : public Tokenizer {
 public:
  explicit SpmTokenizer(Vocab vocab)
      : vocab_(std::move(vocab)), fallback_(read_tokens()), spm_(make_spm()) {}

  std::vector<std::int32_t> encode(std::string_view text,
                                   const EncodeOptions& options) const override;
  std::string decode(std::span<const std::int32_t> ids) const override {
    std::string out;
    for (const std::int32_t id : ids) out += token_bytes(id);
    return out;
  }
  std::string token_bytes(std::int32_t id) const override {
    check_id(vocab_, id);
    return bytes_[static_cast<std::size_t>(id)];
  }
  const Vocab& vocab() const override { return vocab_; }
  std::size_t dropped_merges() const override { return 0; }

 private:
  TokenType type(std::size_t id) const {
    return vocab_.types.empty() ? TokenType::kNormal : vocab_.types[id];
  }
  Spm::Fallback read_tokens();
  Spm make_spm() const;

  Vocab vocab_;
  std::vector<std::string> bytes_;      // per id, what it decodes to
  std::vector<std::string> mergeable_;  // per id, the piece that merging may make; empty = never
  SpecialTokens user_, user_and_control_, control_;
  Spm::Fallback fallback_;
  Spm spm_;
};

// Fills the tables above. Text becomes control tokens only where they are asked for by name, and
// user tokens wherever they are spelled, before anything is merged.
Spm::Fallback SpmTokenizer::read_tokens() {
  check_vocabulary(vocab_);
  const std::size_t n = vocab_.tokens.size();
  if (vocab_.scores.size() != n)
    bad_vocabulary("scores", fmt::format("{} scores for {} tokens", vocab_.scores.size(), n));
  bytes_.resize(n);
  mergeable_.resize(n);
  Spm::Fallback fallback;
  fallback.byte_ids.fill(-1);
  for (std::size_t id = 0; id < n; ++id) {
    const std::string& spelling = vocab_.tokens[id];
    const auto token = static_cast<std::int32_t>(id);
    bytes_[id] = spelling;
    switch (type(id)) {
      case TokenType::kNormal:
      case TokenType::kUnused:
        bytes_[id] = read_spaces(spelling);
        mergeable_[id] = spell_spaces(spelling);
        break;
      case TokenType::kUser:
        bytes_[id] = read_spaces(spelling);
        user_.add(spell_spaces(spelling), token);
        user_and_control_.add(spell_spaces(spelling), token);
        break;
      case TokenType::kControl:
      case TokenType::kUnknown:
        user_and_control_.add(spell_spaces(spelling), token);
        control_.add(spell_spaces(spelling), token);
        if (type(id) == TokenType::kUnknown) fallback.unknown = token;
        break;
      case TokenType::kByte: {
        bytes_[id] = byte_token(spelling, id);
        fallback.byte_ids[static_cast<unsigned char>(bytes_[id].front())] = token;
        break;
      }
    }
  }
  fallback.bytes = std::ranges::find(fallback.byte_ids, -1) == fallback.byte_ids.end();
  if (vocab_.unknown >= 0) fallback.unknown = vocab_.unknown;
  if (!fallback.bytes && fallback.unknown < 0)
    bad_vocabulary("tokens", "neither all 256 byte tokens nor an unknown token");
  return fallback;
}

Spm SpmTokenizer::make_spm() const {
  std::vector<bool> unused(vocab_.tokens.size());
  for (std::size_t id = 0; id < unused.size(); ++id) unused[id] = type(id) == TokenType::kUnused;
  return Spm(mergeable_, vocab_.scores, unused, fallback_);
}

std::vector<std::int32_t> SpmTokenizer::encode(std::string_view text,
                                               const EncodeOptions& options) const {
  RA_CHECK(!first_invalid_utf8(text));
  std::vector<std::int32_t> ids;
  if (options.add_bos && vocab_.add_bos) ids.push_back(vocab_.bos);
  std::string spelled = spell_spaces(text);
  const SpecialTokens& special = options.parse_special ? user_and_control_ : user_;
  // A control token at the start takes the place of the space that begins a text.
  const SpecialTokens::Match first = control_.find(spelled, 0);
  const bool starts_with_control =
      options.parse_special && first.begin == 0 && first.end > first.begin;
  if (vocab_.add_space_prefix && !text.empty() && !starts_with_control) spelled.insert(0, kSpace);
  Spm::Merger merger(spm_);
  const std::string_view all = spelled;
  for (std::size_t begin = 0; begin < all.size();) {
    const SpecialTokens::Match match = special.find(all, begin);
    merger.encode(all.substr(begin, match.begin - begin), ids);
    if (match.end > match.begin) ids.push_back(match.id);
    begin = match.end;
  }
  return ids;
}

}  // namespace

std::unique_ptr<Tokenizer> make_spm_tokenizer(Vocab vocab) {
  return std::make_unique<SpmTokenizer>(std::move(vocab));
}

}  // namespace ra::tokenizer
