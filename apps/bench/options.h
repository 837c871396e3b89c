// SPDX-License-Identifier: Apache-2.0
// Options of ra-bench's measuring subcommands, bound once and printed back with every record.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "apps/cli.h"
#include "apps/rope_options.h"
#include "lib/attention/modes.h"
#include "lib/attention/sparse.h"

namespace ra::bench_app {

// What decode, quality and attention share.
struct SparseModeOptions {
  std::vector<std::string> modes{"full", "streaming", "knn", "ivf", "hnsw", "retrieval"};
  std::string index;  // replaces the default index of the modes of its type, and of retrieval
  int k = 100, sink = 128, window = 512, flush = 1024;
  bool k_given = false;
  std::string rest = "estimate";  // of what a share leaves out; or drop
  std::optional<double> share;  // 0: k; none: chosen for the context, unless k is given or limited
  attention::HitCut cut;        // of the k
  std::string budget = "uniform", select = "auto";
  std::string schedule = "parallel";
  std::int64_t train = 2048;  // most prompt positions whose queries train an index
  std::string out, format = "md";
  std::optional<std::int64_t> pair;
};
void bind(CLI::App& app, SparseModeOptions& o);

// What decode and quality share: a model, a text, and how it runs.
struct ModelOptions {
  std::string model, text, tokens_file, contexts;
  std::string kv_dtype = "bf16", compute = "auto", load_mode = "read", check_tensors = "on",
              utf8 = "strict";
  std::string kv_in, kv_out;
  bool trust_kv = false, force = false;
  std::string device = "cpu", gpu_memory;
  bool on_cpu() const { return device == "cpu"; }
  cli::RopeOptions rope;
};
// `contexts_help` says what the lengths of -c count.
void bind(CLI::App& app, ModelOptions& o, const std::string& contexts_help);

struct DecodeOptions {
  SparseModeOptions sparse;
  ModelOptions model;
  int n_decode = 32, repetitions = 3;
  int batch = 1;
  int generate = 0;
  double temperature = 0;
  bool per_layer = false;
  std::string build = "during";
};
void bind(CLI::App& app, DecodeOptions& o);

struct QualityOptions {
  SparseModeOptions sparse;
  ModelOptions model;
  int n_score = 1024;
  int needles = 5;
  std::vector<double> depths{0.1, 0.3, 0.5, 0.7, 0.9};
  std::vector<std::string> tasks{"single"};
  std::string chat = "auto";
};
void bind(CLI::App& app, QualityOptions& o);

struct AttentionOptions {
  SparseModeOptions sparse;
  std::string dump, contexts, layers;
  bool synthetic = false, cold = false;
  int queries = 64, repetitions = 3;
};
void bind(CLI::App& app, AttentionOptions& o);

struct CompareOptions {
  std::string base, fresh, again;
  std::vector<std::string> exports;  // FORMAT=FILE
  std::string threshold = "3%";
  double alpha = 0.01;
  bool counters = false, exact = false, unpaired = false, allow_missing = false;
  std::string format = "md";
};
void bind(CLI::App& app, CompareOptions& o);

// One line of work: a mode with its checked index.
struct ModeRun {
  const attention::Mode* mode = nullptr;
  attention::SparseOptions sparse;
  bool measured = false;   // k is a mean over heads, shared out by what the prompt's queries gain
  std::string index_text;  // canonical spec with its effort, "" if the mode has no index
};
// Modes in the order given. `--index SPEC` applies to the mode whose default index has the same
// type, keeping that default's keys where it gives none, and to retrieval. Throws Error{kUsage}.
// on_cpu: whether the CPU attends to the static set.
std::vector<ModeRun> mode_runs(const SparseModeOptions& o, bool on_cpu = true);
// A mode that retrieves k keys needs them outside the static set of `cached` positions. Throws
// Error{kUsage}.
void check_k(const SparseModeOptions& o, const std::vector<ModeRun>& runs, std::int64_t cached);

// "4096,8192", "4096-16384+4096", "4096-65536*2" -> ascending distinct lengths.
std::vector<std::int64_t> parse_contexts(const std::string& text);

int run_decode(const DecodeOptions& o, const cli::CommonOptions& common);
int run_quality(const QualityOptions& o, const cli::CommonOptions& common);
int run_attention(const AttentionOptions& o, const cli::CommonOptions& common);
int run_compare(const CompareOptions& o, const cli::CommonOptions& common);

}  // namespace ra::bench_app
