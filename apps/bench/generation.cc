// SPDX-License-Identifier: Apache-2.0
#include "apps/bench/generation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <span>

#include "apps/bench/mode_label.h"
#include "lib/core/error.h"

namespace ra::bench_app {
namespace {

std::string text_of(std::span<const std::int32_t> ids, const tokenizer::Tokenizer& tokenizer) {
  std::string text;
  for (const std::int32_t id : ids) text += tokenizer.token_bytes(id);
  return text;
}

// On one line.
std::string quoted(const Json& text) {
  std::string line;
  for (const char c : text.get<std::string>())
    line += c == '\n' ? std::string("\\n") : std::string(1, c);
  return '"' + escaped(line) + '"';
}

}  // namespace

std::vector<std::int32_t> generate(ModelContext& context, model::AttentionPolicy& attention,
                                   std::int32_t first, int tokens,
                                   const model::SamplerOptions& sampler, std::int32_t eos) {
  model::Decoder& decoder = context.decoder();
  decoder.set_attention(attention);
  context.rewind();
  std::vector<std::int32_t> ids;
  auto logits = decoder.step(first);
  for (int i = 0; i < tokens; ++i) {
    ids.push_back(model::sample(logits, sampler, static_cast<std::uint64_t>(i)));
    if (ids.back() == eos || i + 1 == tokens) break;
    logits = decoder.step(ids.back());
  }
  return ids;
}

Json generated_json(const std::vector<std::int32_t>& ids, const std::vector<std::int32_t>& full,
                    const tokenizer::Tokenizer& tokenizer) {
  const auto same = std::ranges::mismatch(ids, full).in1 - ids.begin();
  Json j = {{"ids", ids}, {"text", text_of(ids, tokenizer)}, {"as_full", same}, {"then", nullptr}};
  if (ids != full)
    j["then"] = text_of(std::span(ids).subspan(static_cast<std::size_t>(same)), tokenizer);
  return j;
}

void print_generated(const std::vector<Json>& records, const std::string& format) {
  if (format != "md") return;
  bool any = false;
  for (const Json& r : records) {
    if (!r.contains("generated")) continue;
    const Json& g = r["generated"];
    if (!any) fmt::print("\ngoing on freely:\n");
    any = true;
    fmt::print("- {} at {}: ", mode_label(records, r), r["config"]["context"].dump());
    if (r["config"]["mode"] == "full")
      fmt::print("{}\n", quoted(g["text"]));
    else if (g["then"].is_null())
      fmt::print("as full attention, all {} tokens\n", g["ids"].size());
    else
      fmt::print("as full attention for {} of {} tokens, then {}\n", g["as_full"].dump(),
                 g["ids"].size(), quoted(g["then"]));
  }
}

}  // namespace ra::bench_app
