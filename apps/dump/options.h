// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

#include "apps/rope_options.h"

namespace ra::dump_app {

struct DumpOptions {
  std::string model, text, tokens_file, out, kv_out;
  std::int64_t max_tokens = 0, generate = 0;
  std::string layers, queries = "all";
  std::string compute = "auto", kv_dtype = "bf16", dtype = "f16", compress = "none";
  std::string load_mode = "mmap", check_tensors = "on", utf8 = "strict";
  std::string part_size = "256MiB", single_limit = "2GiB";
  cli::RopeOptions rope;
  double temperature = 0;
  bool parse_special = false, allow_saturate = false, logits = false;
  bool estimate = false, resume = false, force = false;
};

void bind(CLI::App& app, DumpOptions& options);

// What the option parser cannot say by itself. Throws Error{kUsage}.
void check(const DumpOptions& options);

// "none" = 0, "gzip" = 4, "gzip:7" = 7.
int gzip_level(const std::string& compress);

}  // namespace ra::dump_app
