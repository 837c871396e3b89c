// SPDX-License-Identifier: Apache-2.0
#include "tests/tokenizer/fixture.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <span>
#include <stdexcept>
#include <string_view>

#include "lib/core/hash.h"
#include "lib/core/utf8.h"
#include "lib/tokenizer/code_points.h"

namespace ra::tokenizer {
namespace {

constexpr std::uint64_t kCodePoints = 0x30000;

std::string code_point(std::uint64_t c) {
  std::string out;
  append_utf8(c >= 0xd800 && c < 0xe000 ? U'\ufffd' : static_cast<char32_t>(c), out);
  return out;
}

void append_int(std::int32_t value, std::string& out) {
  for (int shift = 0; shift < 32; shift += 8) out.push_back(static_cast<char>(value >> shift));
}

// Encodes inputs [0, n) and compares the hash of each block of `block` inputs.
void expect_blocks(const char* name, const Json& golden, std::size_t n, std::size_t block,
                   const std::function<std::vector<std::int32_t>(std::size_t)>& encode) {
  const auto& expected = golden[name];
  ASSERT_EQ(expected.size(), (n + block - 1) / block) << name;
  std::vector<std::vector<std::int32_t>> encodings;
  for (std::size_t b = 0; b < expected.size(); ++b) {
    encodings.clear();
    for (std::size_t i = b * block; i < std::min(n, (b + 1) * block); ++i)
      encodings.push_back(encode(i));
    EXPECT_EQ(hash_of(encodings), expected[b])
        << name << ": inputs " << b * block << " to " << (b + 1) * block - 1;
  }
}

}  // namespace

Json read_golden(const std::string& name) {
  const std::string path = "tests/golden/tokenizer/" + name;
  std::ifstream in(path);
  if (!in) throw std::runtime_error(path + " is missing; tests run from the repository root");
  return Json::parse(in);
}

Vocab small_vocab(const Json& golden) {
  const bool spm = golden.contains("scores");
  Vocab v{.model = spm ? "llama" : "gpt2", .pre = golden["pre"]};
  v.tokens = golden["tokens"].get<std::vector<std::string>>();
  if (spm) {
    v.scores = golden["scores"].get<std::vector<float>>();
    v.unknown = golden["unknown"];
    v.add_space_prefix = golden["add_space_prefix"];
  } else {
    v.merges = golden["merges"].get<std::vector<std::string>>();
  }
  for (const int type : golden["types"]) v.types.push_back(static_cast<TokenType>(type));
  return v;
}

RandomStrings::RandomStrings() : pools_(read_golden("inputs.json")) {}

const std::string& RandomStrings::pick(Rng& rng, const char* pool) const {
  const Json& items = pools_[pool];
  return items[rng.below(items.size())].get_ref<const std::string&>();
}

std::string RandomStrings::several(Rng& rng, std::uint64_t limit,
                                   const std::function<std::string()>& draw) const {
  std::string out;
  for (std::uint64_t n = 1 + rng.below(limit); n > 0; --n) out += draw();
  return out;
}

std::string RandomStrings::fragment(Rng& rng) const {
  const std::uint64_t kind = rng.below(16);
  if (kind <= 1) return pick(rng, "words");
  if (kind == 2) return " " + pick(rng, "words");
  if (kind == 3)
    return several(rng, 8, [&] {
      const char first = rng.below(4) != 0 ? 'a' : 'A';
      return std::string(1, static_cast<char>(first + static_cast<char>(rng.below(26))));
    });
  if (kind == 4) return several(rng, 6, [&] { return code_point('0' + rng.below(10)); });
  if (kind <= 6) return several(rng, 4, [&] { return pick(rng, "spaces"); });
  if (kind == 7) return pick(rng, "contractions");
  if (kind == 8) return several(rng, 3, [&] { return pick(rng, "punctuation"); });
  if (kind == 9) {
    const Json& range = pools_["ranges"][rng.below(pools_["ranges"].size())];
    const std::uint64_t first = range[0], last = range[1];
    return several(rng, 6, [&] { return code_point(first + rng.below(last - first + 1)); });
  }
  if (kind == 10) return pick(rng, "emoji");
  if (kind == 11) {
    const std::string base = pick(rng, "bases");
    return base + several(rng, 4, [&] { return pick(rng, "marks"); });
  }
  if (kind == 12) return several(rng, 4, [&] { return pick(rng, "bases"); });
  if (kind == 13) return several(rng, 3, [&] { return code_point(rng.below(kCodePoints)); });
  if (kind == 14) {
    const std::string run = pick(rng, "runs");
    std::string out;
    for (std::uint64_t n = 1 + rng.below(rng.below(8) == 0 ? 300 : 12); n > 0; --n) out += run;
    return out;
  }
  return pick(rng, "specials");
}

std::string RandomStrings::at(std::size_t i) const {
  Rng rng(1, i);
  std::string out;
  for (std::uint64_t n = 1 + rng.below(12); n > 0; --n) out += fragment(rng);
  return out;
}

std::string hash_of(const std::vector<std::vector<std::int32_t>>& encodings) {
  std::string bytes;
  for (const auto& ids : encodings) {
    append_int(static_cast<std::int32_t>(ids.size()), bytes);
    for (const std::int32_t id : ids) append_int(id, bytes);
  }
  return sha256_hex(bytes).substr(0, 16);
}

void expect_identical(const Tokenizer& t, const Json& golden) {
  const auto n_tokens = t.vocab().tokens.size();
  std::string bytes;
  for (std::size_t id = 0; id < n_tokens; ++id) {
    const std::string token = t.token_bytes(static_cast<std::int32_t>(id));
    append_int(static_cast<std::int32_t>(token.size()), bytes);
    bytes += token;
  }
  EXPECT_EQ(sha256_hex(bytes).substr(0, 16), golden["token_bytes"]);

  expect_blocks("vocabulary", golden, n_tokens, 8192, [&](std::size_t id) {
    const std::string text = t.token_bytes(static_cast<std::int32_t>(id));
    return first_invalid_utf8(text) ? std::vector<std::int32_t>{} : t.encode(text);
  });
  constexpr std::size_t kSurrogates = 0x800;
  const auto point = [](std::size_t i) { return code_point(i < 0xd800 ? i : i + kSurrogates); };
  expect_blocks("code_points", golden, kCodePoints - kSurrogates, 4096,
                [&](std::size_t i) { return t.encode(point(i)); });
  expect_blocks("in_text", golden, kCodePoints - kSurrogates, 4096,
                [&](std::size_t i) { return t.encode(" a" + point(i) + "b 1" + point(i) + " "); });
  const RandomStrings strings;
  expect_blocks("random", golden, strings.size(), 1000,
                [&](std::size_t i) { return t.encode(strings.at(i)); });
  expect_blocks("special", golden, strings.size(), 1000,
                [&](std::size_t i) { return t.encode(strings.at(i), {.parse_special = true}); });
  for (const Json& c : golden["cases"])
    EXPECT_EQ(t.encode(c[0].get<std::string>()), c[1].get<std::vector<std::int32_t>>())
        << '"' << c[0].get<std::string>() << '"';
}

void expect_identical_run(const Tokenizer& t, const Json& golden, std::size_t i) {
  const std::string unit = RandomStrings().long_runs().at(i);
  std::string text;
  for (int n = 0; n < 1'000'000; ++n) text += unit;
  EXPECT_EQ(hash_of({t.encode(text)}), golden["long_runs"].at(i)) << "a run of " << unit;
}

}  // namespace ra::tokenizer
