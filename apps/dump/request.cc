// SPDX-License-Identifier: Apache-2.0
#include "apps/dump/request.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <optional>
#include <utility>

#include "lib/core/error.h"
#include "lib/core/params.h"
#include "lib/core/provenance.h"
#include "lib/core/text_file.h"
#include "lib/model/rope.h"

namespace ra::dump_app {
namespace fs = std::filesystem;
namespace {

// The output must not be one of the inputs, even with --force.
void check_output_is_no_input(const DumpOptions& o) {
  for (const auto& [option, output] : {std::pair{"-o", o.out}, {"--kv-out", o.kv_out}})
    for (const std::string& input : {o.model, o.text, o.tokens_file}) {
      std::error_code ignored;
      if (!input.empty() && !output.empty() && fs::equivalent(input, output, ignored))
        fail(Exit::kCannotCreate, {.what = "cannot create",
                                   .file = output,
                                   .where = option,
                                   .why = "is an input of this run"});
    }
}

std::vector<std::int32_t> read_prompt(const DumpOptions& o, Request& r) {
  if (o.tokens_file.empty()) {
    const std::string text =
        read_text_file(o.text, o.utf8 == "replace" ? ra::Utf8::kReplace : ra::Utf8::kStrict);
    r.tokenizer = tokenizer::Tokenizer::create(model::load_vocab(*r.file));
    return r.tokenizer->encode(text, {.add_bos = true, .parse_special = o.parse_special});
  }
  auto ids = read_ids_file(o.tokens_file);
  for (std::size_t i = 0; i < ids.size(); ++i)
    if (ids[i] >= r.model.config.vocab_size)
      fail_bad_data({.what = "bad token id",
                     .file = o.tokens_file,
                     .where = fmt::format("line {}", i + 1),
                     .why = fmt::format("{} is not in the vocabulary of {}", ids[i],
                                        r.model.config.vocab_size)});
  return ids;
}

void check_length(const DumpOptions& o, const Request& r) {
  const std::string& source = o.tokens_file.empty() ? o.text : o.tokens_file;
  if (r.prompt.empty())
    fail_bad_data({.what = "empty prompt", .file = source, .where = "", .why = "no token"});
  const auto prompt = std::ssize(r.prompt);
  const std::int64_t context = r.model.config.context_length;
  const bool longer = o.generate > context || prompt > context - o.generate;
  if (longer && !o.rope.extends())
    fail_bad_data({.what = "context too long",
                   .file = source,
                   .where = "",
                   .why = fmt::format("{} prompt + {} generated tokens, the model's context is {}",
                                      prompt, o.generate, context),
                   .hint = "-n keeps fewer tokens, --rope-scaling extends the context"});
}

// The N of "last:N".
std::int64_t count_of(std::string_view queries, std::string_view text) {
  std::int64_t n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc{} || end != text.data() + text.size() || n < 1)
    fail_usage("--queries", fmt::format("'{}'", queries), "all, last:N or stride:S with N, S >= 1");
  return n;
}

store::DumpInfo describe(const DumpOptions& o, const cli::CommonOptions& common, const Request& r) {
  const model::Config& c = r.model.config;
  store::DumpInfo info;
  info.tool_version = tool_version();
  info.git_commit = git_commit();
  info.command_line = cli::command_line();
  info.created_utc = now_utc();
  info.seed = common.seed;
  info.model_file = fs::path(o.model).filename().string();
  info.architecture = c.architecture;
  info.model_name = c.name;
  info.n_layers = c.n_layers;
  info.n_heads = c.n_heads;
  info.n_kv_heads = c.n_kv_heads;
  info.head_dim = c.head_dim;
  info.value_dim = c.value_dim;
  info.rope_style = model::name_of(c.rope_style);
  info.rope_base = c.rope_base;
  info.rope_scaling = model::rope_scaling_json(c);
  info.dtype = o.dtype == "f32"    ? store::DType::kF32
               : o.dtype == "bf16" ? store::DType::kBf16
                                   : store::DType::kF16;
  info.n_prefill = std::ssize(r.prompt);
  info.n_tokens = info.n_prefill + o.generate;
  info.scale = static_cast<double>(c.attention_scale);
  info.layers = parse_list(o.layers, c.n_layers, "--layers");
  for (const int layer : info.layers) {
    if (c.window(layer) == 0) continue;
    store::LayerAttributes& a = info.layer_attributes[layer];
    a.sliding_window = c.window(layer);
    if (c.has_own_rope(layer)) a.rope_base = c.window_rope_base;
  }
  info.ids = r.prompt;
  info.q_pos = query_positions(o.queries, info.n_prefill, info.n_tokens);
  for (const std::int64_t pos : info.q_pos) info.phase.push_back(pos < info.n_prefill ? 0 : 1);
  return info;
}

}  // namespace

std::vector<std::int64_t> query_positions(std::string_view queries, std::int64_t n_prefill,
                                          std::int64_t n_tokens) {
  std::int64_t first = 0, stride = 1;
  if (queries.starts_with("last:")) {
    first = std::max<std::int64_t>(n_prefill - count_of(queries, queries.substr(5)), 0);
  } else if (queries.starts_with("stride:")) {
    stride = count_of(queries, queries.substr(7));
    first = (n_prefill - 1) % stride;  // so that the last prompt position is among them
  } else if (queries != "all") {
    fail_usage("--queries", fmt::format("'{}'", queries), "all, last:N or stride:S");
  }
  std::vector<std::int64_t> positions;
  for (std::int64_t pos = first; pos < n_prefill; pos += stride) positions.push_back(pos);
  for (std::int64_t pos = n_prefill; pos < n_tokens; ++pos) positions.push_back(pos);
  return positions;
}

Request make_request(const DumpOptions& o, const cli::CommonOptions& common) {
  check_output_is_no_input(o);
  Request r;
  r.file = gguf::File::open(
      o.model, {.mode = o.load_mode == "mmap" ? gguf::LoadMode::kMmap : gguf::LoadMode::kRead,
                .check_tensors = o.check_tensors == "on"});
  cli::warn(common, r.file->warnings());
  r.model = model::load(*r.file, {.rope_scaling = cli::override_of(o.rope)});
  r.prompt = read_prompt(o, r);
  if (o.max_tokens > 0 && std::ssize(r.prompt) > o.max_tokens)
    r.prompt.resize(static_cast<std::size_t>(o.max_tokens));
  check_length(o, r);
  r.info = describe(o, common, r);
  return r;
}

}  // namespace ra::dump_app
