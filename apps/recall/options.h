// SPDX-License-Identifier: Apache-2.0
// The command line of ra-recall: one struct, bound once, printed back in every record.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "apps/cli.h"

namespace ra::recall {

struct Options {
  cli::CommonOptions common;
  std::string input;                    // -d: dump or ann-benchmarks style file
  std::string out;                      // -o: result records, or the folder of export
  std::string format = "md";            // of the table on stdout: md, csv, none
  std::string layers, heads, kv_heads;  // lists; empty = all
  int sink = 128, window = 512;
  std::string kv_dtype = "stored";  // or bf16: keys and values rounded
  std::string keys;                 // FIRST-LAST positions; empty = from sink and window
  std::string test_queries;         // last:N; empty = every stored query after the last key
  int train = 0;                    // cap of the training queries per head; 0 = all stored
  std::string train_pick;           // even, drawn, last; empty = drawn with repeats, else even
  int repeats = 1;                  // curve: seeds
  int test_draw = 0;                // curve: queries drawn of each test set; 0 = all
  int k = 100;
  std::vector<int> ks;  // sparsity; empty = the default list
  std::vector<std::string> index;
  std::string direction = "q_to_k";  // q_to_k, k_to_k, both
  int samples = 0;                   // keys (and queries) drawn; 0 = the command's default
  double ridge = 0;                  // ood: shrinkage of the covariance
  std::string export_format;         // bigann, ann-benchmarks, npy
  std::string batch = "query";       // curve: query, group
  std::string select = "head";       // curve: head, group
  bool untimed = false, no_samples = false, resume = false;  // curve; ood, sparsity: no_samples
  int decoded = 2048, flush = 1024, every = 16;              // growth
  bool raw = false;        // curve: the table keeps dominated points
  std::string save, load;  // folders of saved indexes: of build, of curve
  bool force = false;
  std::vector<int> lags{1, 2, 4, 8, 16, 32, 64};  // overlap: steps
};

// Options shared by several commands.
void bind_input(CLI::App& command, Options& o, bool required = true);
CLI::Option* bind_layers(CLI::App& command, Options& o);
CLI::Option* bind_sink(CLI::App& command, Options& o);
void bind_k(CLI::App& command, Options& o);
void bind_selection(CLI::App& command, Options& o);
void bind_training(CLI::App& command, Options& o);
void bind_index(CLI::App& command, Options& o);
void bind_samples(CLI::App& command, Options& o);
void bind_records(CLI::App& command, Options& o);

// What main runs: set by the callback of the chosen subcommand.
using Chosen = std::function<int()>;

// One per file of this folder; each adds its subcommand to the root.
void bind_ood(CLI::App& root, Options& o, Chosen& chosen);
void bind_sparsity(CLI::App& root, Options& o, Chosen& chosen);
void bind_overlap(CLI::App& root, Options& o, Chosen& chosen);
void bind_curve(CLI::App& root, Options& o, Chosen& chosen);
void bind_growth(CLI::App& root, Options& o, Chosen& chosen);
void bind_build(CLI::App& root, Options& o, Chosen& chosen);
void bind_export(CLI::App& root, Options& o, Chosen& chosen);
void bind_list(CLI::App& root, Options& o, Chosen& chosen);

}  // namespace ra::recall
