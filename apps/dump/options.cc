// SPDX-License-Identifier: Apache-2.0
#include "apps/dump/options.h"

#include "lib/core/error.h"
#include "lib/core/params.h"
#include "lib/model/arch/registry.h"

namespace ra::dump_app {

void bind(CLI::App& app, DumpOptions& o) {
  const auto one_of = [](std::vector<std::string> names) {
    return CLI::IsMember(std::move(names));
  };
  const std::string input = "Input", what = "What is kept", how = "How it runs", output = "Output";
  app.add_option("-m,--model", o.model, "GGUF model: " + model::architecture_names())
      ->required()
      ->envname("RA_MODEL")
      ->group(input);
  auto* text = app.add_option("-f,--file", o.text, "UTF-8 text, used byte for byte")->group(input);
  app.add_option("--tokens-file", o.tokens_file, "Instead of -f: one token id per line")
      ->excludes(text)
      ->group(input);
  app.add_option("-n,--max-tokens", o.max_tokens, "Keep at most this many prompt tokens; 0 = all")
      ->check(CLI::NonNegativeNumber)
      ->group(input);
  app.add_flag("--parse-special", o.parse_special,
               "Spellings of control tokens in the text become those tokens")
      ->group(input);
  app.add_option("--utf8", o.utf8, "Invalid UTF-8: strict refuses, replace puts U+FFFD")
      ->check(one_of({"strict", "replace"}))
      ->capture_default_str()
      ->group(input);

  app.add_option("--layers", o.layers, "Layers to keep, e.g. 0,5,12-15; default all")->group(what);
  app.add_option("--queries", o.queries, "Prompt positions whose Q is kept: all, last:N, stride:S")
      ->capture_default_str()
      ->group(what);
  app.add_option("--generate", o.generate, "Decode steps after the prompt")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str()
      ->group(what);
  app.add_flag("--logits", o.logits, "Also keep the loss of every token and the last logits")
      ->group(what);
  app.add_option("--dtype", o.dtype, "Of K, V and Q in the file: f16, bf16 or f32")
      ->check(one_of({"f16", "bf16", "f32"}))
      ->capture_default_str()
      ->group(what);
  app.add_flag("--allow-saturate", o.allow_saturate, "Clamp what overflows --dtype and count it")
      ->group(what);

  app.add_option("--compute", o.compute, "auto: fastest path of the CPU; f32: reference arithmetic")
      ->check(one_of({"auto", "f32"}))
      ->capture_default_str()
      ->group(how);
  app.add_option("--kv-dtype", o.kv_dtype, "Of the KV cache while it runs: bf16, f32 or int8")
      ->check(one_of({"bf16", "f32", "int8"}))
      ->capture_default_str()
      ->group(how);
  app.add_option("--temp", o.temperature, "Sampling temperature of --generate; 0 = greedy")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str()
      ->group(how);
  cli::bind(app, o.rope, how);
  app.add_option("--load-mode", o.load_mode, "mmap or read")
      ->check(one_of({"mmap", "read"}))
      ->capture_default_str()
      ->group(how);
  app.add_option("--check-tensors", o.check_tensors, "Look for NaN and infinite scales: on or off")
      ->check(one_of({"on", "off"}))
      ->capture_default_str()
      ->group(how);

  app.add_option("-o,--output", o.out, "HDF5 file to write")->group(output);
  app.add_option("--kv-out", o.kv_out,
                 "Also keep the KV cache of the prompt, for ra-bench decode --kv-in")
      ->group(output);
  app.add_option("--compress", o.compress, "none or gzip[:1-9]")
      ->capture_default_str()
      ->group(output);
  app.add_option(
         "--part-size", o.part_size,
         "Most bytes of a part, and so about what a kill costs; a prompt part holds at least "
         "one pass of the prefill")
      ->capture_default_str()
      ->group(output);
  app.add_option("--single-limit", o.single_limit,
                 "Above this size the vectors stay in OUT.parts/ beside OUT")
      ->capture_default_str()
      ->group(output);
  app.add_flag("--estimate", o.estimate, "Print size, memory and time as JSON; write nothing")
      ->group(output);
  auto* resume = app.add_flag("--resume", o.resume, "Go on from an interrupted run")->group(output);
  app.add_flag("--force", o.force, "Replace an existing output")->excludes(resume)->group(output);
}

void check(const DumpOptions& o) {
  if (o.text.empty() && o.tokens_file.empty())
    fail_usage("-f", "no text", "give -f or --tokens-file");
  if (o.out.empty() && !o.estimate) fail_usage("-o", "no output", "give -o FILE or --estimate");
  if (o.out == "-") fail_usage("-o", "a dump cannot go to stdout", "give a file name");
  if (!o.kv_out.empty() && o.kv_out == o.out)
    fail_usage("--kv-out", "is the same file as -o", "give another name");
  cli::check(o.rope);
  if (o.temperature > 0 && o.generate == 0) fail_usage("--temp", "is only used with --generate");
  (void)gzip_level(o.compress);
  (void)parse_bytes(o.part_size, "--part-size");
  (void)parse_bytes(o.single_limit, "--single-limit");
}

int gzip_level(const std::string& compress) {
  if (compress == "none") return 0;
  if (compress == "gzip") return 4;
  if (compress.size() == 6 && compress.starts_with("gzip:") && compress[5] >= '1' &&
      compress[5] <= '9')
    return compress[5] - '0';
  fail_usage("--compress", "'" + compress + "'", "none, gzip or gzip:1 to gzip:9");
}

}  // namespace ra::dump_app
