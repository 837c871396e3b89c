// SPDX-License-Identifier: Apache-2.0
#include "lib/tokenizer/tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <unordered_map>
#include <utility>

#include "lib/core/error.h"
#include "lib/core/utf8.h"
#include "lib/tokenizer/bpe.h"
#include "lib/tokenizer/byte_alphabet.h"
#include "lib/tokenizer/nfc.h"
#include "lib/tokenizer/pretokenize.h"
#include "lib/tokenizer/special_tokens.h"
#include "lib/tokenizer/spm_tokenizer.h"
#include "lib/tokenizer/vocab_check.h"

namespace ra::tokenizer {
namespace {

const PreRule& checked_rule(const Vocab& v) {
  if (v.model != "gpt2")
    bad_vocabulary("model", fmt::format("tokenizer '{}' is not supported", v.model),
                   "supported: gpt2 (byte-level BPE), llama (SentencePiece)");
  if (const PreRule* rule = find_pre_rule(v.pre)) return *rule;
  std::string known;
  for (const PreRule& r : pre_rules()) known += (known.empty() ? "" : ", ") + std::string(r.name);
  bad_vocabulary("pre", fmt::format("pre-split rule '{}' is not supported", v.pre),
                 "supported: " + known);
}

class ByteBpeTokenizer final : public Tokenizer {
 public:
  explicit ByteBpeTokenizer(Vocab vocab)
      : vocab_(std::move(vocab)), rule_(checked_rule(vocab_)), bpe_(read_tokens(), vocab_.merges) {}

  std::vector<std::int32_t> encode(std::string_view text,
                                   const EncodeOptions& options) const override;
  std::string decode(std::span<const std::int32_t> ids) const override;
  std::string token_bytes(std::int32_t id) const override;
  const Vocab& vocab() const override { return vocab_; }
  std::size_t dropped_merges() const override { return bpe_.dropped_merges(); }

 private:
  class Encoder;

  TokenType type(std::size_t id) const {
    return vocab_.types.empty() ? TokenType::kNormal : vocab_.types[id];
  }
  const std::vector<std::string>& read_tokens();

  Vocab vocab_;
  const PreRule& rule_;
  std::vector<std::string> bytes_;      // per id, what it decodes to
  std::vector<std::string> mergeable_;  // per id, the bytes BPE may make it from; empty = never
  SpecialTokens user_, user_and_control_;
  Bpe bpe_;
};

// Fills the tables above and returns mergeable_. Control tokens are kept from BPE, so that no plain
// text becomes one; unused ones are padding that the model's own tokenizer does not have.
const std::vector<std::string>& ByteBpeTokenizer::read_tokens() {
  check_vocabulary(vocab_);
  const std::size_t n = vocab_.tokens.size();
  bytes_.resize(n);
  mergeable_.resize(n);
  for (std::size_t id = 0; id < n; ++id) {
    const std::string& spelling = vocab_.tokens[id];
    const auto spelled = read_spelling(spelling);
    switch (type(id)) {
      case TokenType::kNormal:  // outside the alphabet: decodes to itself, text never becomes it
        bytes_[id] = spelled.value_or(spelling);
        mergeable_[id] = spelled.value_or("");
        break;
      case TokenType::kUser:
        bytes_[id] = spelling;
        mergeable_[id] = spelled.value_or("");
        user_.add(spelling, static_cast<std::int32_t>(id));
        user_and_control_.add(spelling, static_cast<std::int32_t>(id));
        break;
      case TokenType::kControl:
      case TokenType::kUnknown:
        bytes_[id] = spelling;
        user_and_control_.add(spelling, static_cast<std::int32_t>(id));
        break;
      case TokenType::kUnused:
        bytes_[id] = spelling;
        break;
      case TokenType::kByte:
        bytes_[id] = mergeable_[id] = byte_token(spelling, id);
        break;
    }
  }
  return mergeable_;
}

// One call of encode: the ids so far and what it has merged before.
class ByteBpeTokenizer::Encoder {
 public:
  explicit Encoder(const ByteBpeTokenizer& t) : t_(t), merger_(t.bpe_) {}

  void plain_text(std::string_view text) {
    if (!t_.rule_.nfc) return pieces(text);
    normalized_.push_back(nfc(text));
    pieces(normalized_.back());
  }
  void token(std::int32_t id) { ids_.push_back(id); }
  std::vector<std::int32_t> take() { return std::move(ids_); }

 private:
  void pieces(std::string_view text) {
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t end = t_.rule_.piece_end(text, begin);
      piece(text.substr(begin, end - begin));
      begin = end;
    }
  }
  void piece(std::string_view bytes) {
    if (const auto it = seen_.find(bytes); it != seen_.end()) {
      for (std::size_t i = 0; i < it->second.count; ++i) ids_.push_back(ids_[it->second.first + i]);
      return;
    }
    const std::size_t first = ids_.size();
    const std::int32_t whole = t_.rule_.whole_pieces ? t_.bpe_.find(bytes) : -1;
    if (whole >= 0)
      ids_.push_back(whole);
    else
      merger_.encode(bytes, ids_);
    if (seen_.size() < kSeenLimit) seen_.emplace(bytes, Slice{first, ids_.size() - first});
  }

  struct Slice {
    std::size_t first, count;  // of ids_
  };
  // Words repeat: on English text nine pieces of ten are found here.
  static constexpr std::size_t kSeenLimit = 1 << 16;

  const ByteBpeTokenizer& t_;
  Bpe::Merger merger_;
  std::vector<std::int32_t> ids_;
  std::deque<std::string> normalized_;  // what seen_ points into
  std::unordered_map<std::string_view, Slice> seen_;
};

std::vector<std::int32_t> ByteBpeTokenizer::encode(std::string_view text,
                                                   const EncodeOptions& options) const {
  RA_CHECK(!first_invalid_utf8(text));
  Encoder encoder(*this);
  if (options.add_bos && vocab_.add_bos) encoder.token(vocab_.bos);
  const SpecialTokens& special = options.parse_special ? user_and_control_ : user_;
  for (std::size_t begin = 0; begin < text.size();) {
    const SpecialTokens::Match match = special.find(text, begin);
    encoder.plain_text(text.substr(begin, match.begin - begin));
    if (match.end > match.begin) encoder.token(match.id);
    begin = match.end;
  }
  return encoder.take();
}

std::string ByteBpeTokenizer::decode(std::span<const std::int32_t> ids) const {
  std::string out;
  for (const std::int32_t id : ids) out += token_bytes(id);
  return out;
}

std::string ByteBpeTokenizer::token_bytes(std::int32_t id) const {
  check_id(vocab_, id);
  return bytes_[static_cast<std::size_t>(id)];
}

}  // namespace

std::unique_ptr<Tokenizer> Tokenizer::create(Vocab vocab) {
  if (vocab.model == "llama") return make_spm_tokenizer(std::move(vocab));
  return std::make_unique<ByteBpeTokenizer>(std::move(vocab));
}

}  // namespace ra::tokenizer
