// SPDX-License-Identifier: Apache-2.0
#include "apps/bench/model_input.h"

#include <fmt/format.h>

#include "lib/core/error.h"
#include "lib/core/hash.h"
#include "lib/core/text_file.h"
#include "lib/model/load.h"
#include "lib/tokenizer/tokenizer.h"

namespace ra::bench_app {

ModelInput read_model_input(const ModelOptions& o, const cli::CommonOptions& common,
                            std::int64_t longest, std::int64_t tokens) {
  ModelInput in;
  in.file = gguf::File::open(
      o.model, {.mode = o.load_mode == "mmap" ? gguf::LoadMode::kMmap : gguf::LoadMode::kRead,
                .check_tensors = o.check_tensors == "on"});
  cli::warn(common, in.file->warnings());
  in.model = model::load(*in.file, {.rope_scaling = cli::override_of(o.rope)});
  if (longest > in.model.config.context_length && !o.rope.extends())
    fail_bad_data({.what = "context too long",
                   .file = o.model,
                   .where = "-c",
                   .why = fmt::format("{} tokens, the model's context holds {}", longest,
                                      in.model.config.context_length),
                   .hint = "--rope-scaling extends the context"});
  if (o.text.empty() && o.tokens_file.empty())
    fail_usage("-f", "no text", "give -f or --tokens-file");
  if (!o.tokens_file.empty()) {
    in.ids = read_ids_file(o.tokens_file);
    for (const std::int32_t id : in.ids)
      if (id < 0 || id >= in.model.config.vocab_size)
        fail_bad_data({.what = "bad token id",
                       .file = o.tokens_file,
                       .why = fmt::format("{} is not in the vocabulary of {}", id,
                                          in.model.config.vocab_size)});
    in.sha256 = sha256_file(o.tokens_file);
  } else {
    const auto tokenizer = tokenizer::Tokenizer::create(model::load_vocab(*in.file));
    in.ids = tokenizer->encode(
        read_text_file(o.text, o.utf8 == "replace" ? Utf8::kReplace : Utf8::kStrict));
    in.sha256 = sha256_file(o.text);
  }
  if (std::ssize(in.ids) < tokens)
    fail_bad_data({.what = "text too short",
                   .file = o.text.empty() ? o.tokens_file : o.text,
                   .where = "-c",
                   .why = fmt::format("{} tokens, {} needed", in.ids.size(), tokens)});
  return in;
}

model::KvType kv_type(const ModelOptions& o) { return model::parse_kv_type(o.kv_dtype).value(); }

}  // namespace ra::bench_app
