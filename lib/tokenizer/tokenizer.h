// SPDX-License-Identifier: Apache-2.0
// Text to token ids and back over a vocabulary: byte-level BPE, and SentencePiece's BPE by scores.
// Reads no files. Ids are those of the Hugging Face tokenizers and of SentencePiece
// (tests/golden/tokenizer). Byte-level BPE has their two ways of losing something: qwen2 text is
// brought to NFC first, and a byte that is no token is left out (SmolLM2 lacks six control
// characters). SentencePiece text comes back with the space that its vocabulary may put first.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ra::tokenizer {

enum class TokenType : std::uint8_t { kNormal = 1, kUnknown, kControl, kUser, kUnused, kByte };

// As the GGUF keys tokenizer.ggml.* hold it.
struct Vocab {
  std::string model;                // "gpt2" = byte-level BPE, "llama" = SentencePiece
  std::string pre;                  // pre-split rule of gpt2: smollm, qwen2, llama-bpe
  std::vector<std::string> tokens;  // normal ones: gpt2 in its byte alphabet, llama with U+2581
  std::vector<TokenType> types;     // empty = all normal
  std::vector<std::string> merges;  // gpt2: "left right", best first
  std::vector<float> scores;        // llama: of each token, best = highest
  std::int32_t bos = -1, eos = -1, unknown = -1;  // -1 = none
  bool add_bos = false;
  bool add_space_prefix = false;  // llama: a text begins with a space
};

struct EncodeOptions {
  bool add_bos = true;  // only if the vocabulary asks for it (Vocab::add_bos)
  // Spellings of control tokens become those tokens. Spellings of user tokens always do.
  bool parse_special = false;
};

class Tokenizer {
 public:
  // Throws Error{kBadData} for an unknown model or pre-split rule (named), disagreeing array
  // lengths or special ids outside the vocabulary.
  static std::unique_ptr<Tokenizer> create(Vocab vocab);
  virtual ~Tokenizer() = default;
  // `text` is valid UTF-8 (checked by the caller, which knows the file). Linear-time in practice:
  // a million equal characters take at most seconds and constant stack.
  virtual std::vector<std::int32_t> encode(std::string_view text,
                                           const EncodeOptions& options = {}) const = 0;
  // Bytes; may be invalid UTF-8. An id outside the vocabulary is Error{kBadData}, here and below.
  virtual std::string decode(std::span<const std::int32_t> ids) const = 0;
  virtual std::string token_bytes(std::int32_t id) const = 0;
  virtual const Vocab& vocab() const = 0;
  virtual std::size_t dropped_merges() const = 0;  // merges whose parts or result are no tokens
};

}  // namespace ra::tokenizer
