// SPDX-License-Identifier: Apache-2.0
// What is to be dumped: the model, the prompt and the selection, all checked.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "apps/cli.h"
#include "apps/dump/options.h"
#include "lib/gguf/reader.h"
#include "lib/model/load.h"
#include "lib/store/vectors.h"
#include "lib/tokenizer/tokenizer.h"

namespace ra::dump_app {

struct Request {
  std::unique_ptr<gguf::File> file;
  model::Model model;
  std::unique_ptr<tokenizer::Tokenizer> tokenizer;  // null with --tokens-file
  std::vector<std::int32_t> prompt;
  store::DumpInfo info;  // without model_sha256, which takes a pass over the file
};

// Throws Error: 66, 65 (also a prompt that is empty or beyond the context), 2.
Request make_request(const DumpOptions& options, const cli::CommonOptions& common);

// Prompt positions of `queries` ("all", "last:N", "stride:S"), then all generated ones.
std::vector<std::int64_t> query_positions(std::string_view queries, std::int64_t n_prefill,
                                          std::int64_t n_tokens);

}  // namespace ra::dump_app
