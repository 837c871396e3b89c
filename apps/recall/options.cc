// SPDX-License-Identifier: Apache-2.0
#include "apps/recall/options.h"

namespace ra::recall {

void bind_input(CLI::App& command, Options& o, bool required) {
  auto* input = command.add_option("-d,--dump", o.input, "Dump written by ra-dump");
  if (required) input->required();
}

CLI::Option* bind_layers(CLI::App& command, Options& o) {
  return command.add_option("--layers", o.layers, "Layers, e.g. 0,3,8-11; default all in the dump");
}

CLI::Option* bind_sink(CLI::App& command, Options& o) {
  return command.add_option("--sink", o.sink, "First positions that are always attended")
      ->check(CLI::Range(0, 1 << 30))
      ->capture_default_str();
}

void bind_k(CLI::App& command, Options& o) {
  command.add_option("-k", o.k, "Keys to retrieve")
      ->check(CLI::Range(1, 1 << 30))
      ->capture_default_str();
}

void bind_selection(CLI::App& command, Options& o) {
  const std::string group = "Which vectors";
  bind_layers(command, o)->group(group);
  command.add_option("--heads", o.heads, "Query heads; default all")->group(group);
  command.add_option("--kv-heads", o.kv_heads, "KV heads; default all")->group(group);
  bind_sink(command, o)->group(group);
  command.add_option("--window", o.window, "Last prompt positions that are always attended")
      ->check(CLI::Range(0, 1 << 30))
      ->capture_default_str()
      ->group(group);
  command
      .add_option("--keys", o.keys,
                  "Indexed key positions FIRST-LAST, instead of --sink and --window")
      ->group(group);
  command
      .add_option("--kv-dtype", o.kv_dtype,
                  "Keys and values: as stored, or rounded to bf16 as a KV cache of bf16 has them")
      ->check(CLI::IsMember({"stored", "bf16"}))
      ->capture_default_str()
      ->group(group);
  command
      .add_option("--test-queries", o.test_queries,
                  "last:N takes the last N prompt positions; default: every stored query after the "
                  "last indexed key. Queries of generated tokens are always tested, apart")
      ->group(group);
}

void bind_training(CLI::App& command, Options& o) {
  const std::string group = "Which vectors";
  command.add_option("--train", o.train, "At most N training queries per head; 0 = all stored")
      ->check(CLI::Range(0, 1 << 30))
      ->capture_default_str()
      ->group(group);
  command
      .add_option("--train-pick", o.train_pick,
                  "Which N: even (the middle of N equal stretches of the prompt), drawn (one of "
                  "each stretch, by the seed) or last (the last N); default even, drawn with "
                  "--repeats")
      ->check(CLI::IsMember({"even", "drawn", "last"}))
      ->group(group);
}

void bind_index(CLI::App& command, Options& o) {
  command
      .add_option("--index", o.index,
                  "NAME[:KEY=VALUE,...]; repeat it or join with ';' or ','; see ra-recall list")
      ->required()
      ->allow_extra_args(false);
}

void bind_samples(CLI::App& command, Options& o) {
  command.add_flag("--no-samples", o.no_samples,
                   "Records without raw samples (their percentiles stay)");
}

void bind_records(CLI::App& command, Options& o) {
  command.add_option("-o,--out", o.out, "Append result records (JSON lines); - = stdout");
  command.add_option("--format", o.format, "Table on stdout: md, csv or none")
      ->check(CLI::IsMember({"md", "csv", "none"}))
      ->capture_default_str();
}

}  // namespace ra::recall
