// SPDX-License-Identifier: Apache-2.0
#include "apps/bench/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "lib/bench/needles.h"
#include "lib/core/error.h"
#include "lib/core/params.h"
#include "lib/model/arch/registry.h"

namespace ra::bench_app {
namespace {

std::vector<std::string> mode_names() {
  std::vector<std::string> names;
  for (const auto& mode : attention::modes()) names.emplace_back(mode.name);
  return names;
}

std::string mode_help() {
  std::string help = "Modes, in this order (repeat or comma list):";
  for (const auto& mode : attention::modes())
    help += fmt::format("\n  {:<10} {}{}", mode.name, mode.help,
                        mode.index.empty() ? "" : fmt::format(" ({})", mode.index));
  return help;
}

std::string task_help() {
  std::string help = "What is hidden and asked (repeat or comma list):";
  for (const auto& task : bench::needle_tasks())
    help += fmt::format("\n  {:<10} {}", task.name, task.help);
  return help;
}

std::int64_t number(std::string_view text, const std::string& whole) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value <= 0)
    fail_usage("-c", fmt::format("'{}' in '{}' is not a positive number", text, whole),
               "for example 4096,8192 or 4096-16384+4096 or 4096-65536*2");
  return value;
}

// `given` with the keys of `defaults` that it does not set.
index::IndexSpec with_defaults(const index::IndexSpec& given, const index::IndexSpec& defaults) {
  Spec spec = given.spec;
  spec.params.insert(defaults.spec.params.begin(), defaults.spec.params.end());
  return index::check_index_spec(spec);
}

// Limits of single heads have nothing to say where a group attends together.
void check_select(const SparseModeOptions& o) {
  if (o.select != "group") return;
  const char* other = o.cut.top_p < 1          ? "--top-p"
                      : o.cut.active()         ? "--range"
                      : o.budget == "measured" ? "--budget measured"
                                               : nullptr;
  if (other != nullptr)
    fail_usage("--select", fmt::format("group cannot be joined with {}", other),
               "that one chooses keys for each head: use --select head");
}

constexpr double kLeastShare = 1e-9;
// What experiments/06-budgets and 09-quality find to be nearer to full attention than k = 100.
constexpr double kDefaultShare = 0.001;
constexpr std::int64_t kDefaultShareFrom = 32768;

void set_share(const SparseModeOptions& o, bool on_cpu, ModeRun& run) {
  if (!run.sparse.group || !run.sparse.index->by_share || !on_cpu) return;
  if (o.share) {
    run.sparse.share = *o.share;
  } else if (!o.k_given) {
    run.sparse.share = kDefaultShare;
    run.sparse.share_from = kDefaultShareFrom;
  }
  run.sparse.rest = run.sparse.share > 0 && o.rest == "estimate";
}

// Pages and estimates of a tail are each head's own.
bool selects_for_group(const SparseModeOptions& o, const ModeRun& run) {
  if (o.select == "head" || run.mode->whole || run.mode->tail || run.measured || o.cut.active())
    return false;
  return o.select == "group" || run.sparse.index->for_group;
}

void bind_repetitions(CLI::App& app, int& repetitions) {
  app.add_option("-r,--repetitions", repetitions, "Repetitions, modes interleaved")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
}

}  // namespace

void bind(CLI::App& app, SparseModeOptions& o) {
  app.add_option("--mode", o.modes, mode_help())
      ->delimiter(',')
      ->check(CLI::IsMember(mode_names()))
      ->take_all();
  app.add_option("--index", o.index,
                 "Index specs, e.g. ivf:lists=256,probes=16;qivf:probes=192: each is for the mode "
                 "of its type (qivf, roar or others: retrieval), several for one mode are run in "
                 "turn; keys not given stay as in that "
                 "mode's default, so "
                 "hnsw:ef=200 is still lifted");
  app.add_option("-k", o.k,
                 "Keys retrieved per query head; given, that many also where --share would choose")
      ->each([&o](const std::string&) { o.k_given = true; })
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  app.add_option(
         "--select", o.select,
         "Who attends to the keys a query head retrieves: it alone (head), all heads of its "
         "KV head (group), or all where the index reads keys for all (auto: qivf, qscan and "
         "flat with codes). Modes tail and pages: always head")
      ->check(CLI::IsMember({"auto", "head", "group"}))
      ->capture_default_str();
  app.add_option(
         "--share", o.share,
         fmt::format(
             "Where a group attends together to what qivf finds (on the CPU): instead of k all "
             "keys that would take this share of a head's attention, sink and window counted; "
             "0 = k. Default, unless -k is given: {}, below {} tokens less in proportion",
             kDefaultShare, kDefaultShareFrom))
      ->check(CLI::Range(0.0, 0.5));
  app.add_option("--rest", o.rest,
                 "What becomes of the keys worth less than --share: their cells' estimate of their "
                 "attention (estimate), or nothing (drop)")
      ->check(CLI::IsMember({"estimate", "drop"}))
      ->capture_default_str();
  app.add_option(
         "--budget", o.budget,
         "Keys of each query head: k (uniform), or k on average over all heads and layers, "
         "those with more whose attention gains more by the prompt's own queries (measured)")
      ->check(CLI::IsMember({"uniform", "measured"}))
      ->capture_default_str();
  app.add_option(
         "--top-p", o.cut.top_p,
         "Of the k only the fewest that hold, with sink and window, this share of the softmax "
         "mass of all these")
      ->check(CLI::Range(1e-6, 1.0))
      ->capture_default_str();
  app.add_option("--range", o.cut.range,
                 "Of the k only those whose logit is at most this far, in nats, below the largest")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--schedule", o.schedule,
                 "Static set and retrieval of a layer: parallel, or one after the other "
                 "(sequential)")
      ->check(CLI::IsMember({"parallel", "sequential"}))
      ->capture_default_str();
  app.add_option("--sink", o.sink, "First positions always attended")
      ->check(CLI::Range(0, 1 << 20))
      ->capture_default_str();
  app.add_option("--window", o.window, "Last positions always attended")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  app.add_option("--flush", o.flush,
                 "Keys that have left the window before they enter the index as a segment, for "
                 "types that can grow (qivf); until then all are scored. 0 = never")
      ->check(CLI::Range(0, 1 << 20))
      ->capture_default_str();
  app.add_option(
         "--train", o.train,
         "Most prompt positions whose queries train an index that keeps queries (roar, ...)")
      ->check(CLI::Range(1, 1 << 24))
      ->capture_default_str();
  app.add_option("-o,--output", o.out, "Append result records (JSON lines); - = stdout");
  app.add_option("--format", o.format, "Table on stdout: md, csv or none")
      ->check(CLI::IsMember({"md", "csv", "none"}))
      ->capture_default_str();
  app.add_option("--pair", o.pair, "Number of the pair this run belongs to (for compare)");
}

void bind(CLI::App& app, ModelOptions& o, const std::string& contexts_help) {
  app.add_option("-m,--model", o.model, "GGUF model: " + model::architecture_names())->required();
  auto* text =
      app.add_option("-f,--file", o.text, "UTF-8 text: context and the tokens that follow it");
  app.add_option("--tokens-file", o.tokens_file, "One token id per line instead of -f")
      ->excludes(text);
  app.add_option("-c,--contexts", o.contexts,
                 "Lengths in tokens, " + contexts_help +
                     ": 4096,8192 or first-last+step or first-last*mult")
      ->required();
  app.add_option("--utf8", o.utf8, "Invalid UTF-8: strict refuses, replace puts U+FFFD")
      ->check(CLI::IsMember({"strict", "replace"}))
      ->capture_default_str();
  app.add_option("--kv-dtype", o.kv_dtype, "KV cache: bf16, f32 or int8")
      ->check(CLI::IsMember({"bf16", "f32", "int8"}))
      ->capture_default_str();
  app.add_option("--compute", o.compute, "auto, or f32 arithmetic throughout")
      ->check(CLI::IsMember({"auto", "f32"}))
      ->capture_default_str();
  app.add_option("--device", o.device,
                 "What the forward pass runs on: cpu, cuda or cuda:N. With cuda the static set's "
                 "attention runs there too, beside the retrieval on the CPU")
      ->capture_default_str();
  app.add_option("--gpu-memory", o.gpu_memory,
                 "Most bytes of the CUDA device to use, e.g. 20GiB; default 95 % of what is free");
  app.add_option("--load-mode", o.load_mode,
                 "Weights: read (into large pages, which decode reads faster) or mmap")
      ->check(CLI::IsMember({"mmap", "read"}))
      ->capture_default_str();
  app.add_option("--check-tensors", o.check_tensors, "Check block scales for NaN/Inf: on or off")
      ->check(CLI::IsMember({"on", "off"}))
      ->capture_default_str();
  auto* in = app.add_option("--kv-in", o.kv_in,
                            "KV snapshot of the text's first tokens: no prefill; serves every "
                            "prompt up to its length");
  app.add_flag("--trust-kv", o.trust_kv, "Do not read --kv-in whole to compare its checksum")
      ->needs(in);
  auto* out = app.add_option("--kv-out", o.kv_out, "Keep the KV cache of the longest prompt here")
                  ->excludes(in);
  app.add_flag("--force", o.force, "Replace an existing --kv-out")->needs(out);
  cli::bind(app, o.rope, "");
}

void bind(CLI::App& app, DecodeOptions& o) {
  bind(app, o.model, "prompt and decoded");
  app.add_option("-n,--n-decode", o.n_decode, "Tokens decoded per repetition")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  bind_repetitions(app, o.repetitions);
  app.add_option("--batch", o.batch,
                 "Sequences that decode together, each with a cache and indexes of its own: the "
                 "weights are read once a step for all of them")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  auto* generate = app.add_option("--generate", o.generate,
                                  "Then each mode goes on freely with this many tokens of its own "
                                  "choice; 0 = not")
                       ->check(CLI::Range(0, 1 << 20))
                       ->capture_default_str();
  app.add_option("--temp", o.temperature, "Sampling temperature of --generate, 0 = greedy")
      ->check(CLI::Range(0.0, 100.0))
      ->needs(generate)
      ->capture_default_str();
  app.add_flag("--per-layer", o.per_layer,
               "Times and work of each layer too: what retrieval and static set take, overlap and "
               "wait for");
  app.add_option("--build", o.build,
                 "Indexes that are learnt in pieces (qivf): during the prefill or after it; the "
                 "same bits either way")
      ->check(CLI::IsMember({"during", "after"}))
      ->capture_default_str();
  bind(app, o.sparse);
}

void bind(CLI::App& app, QualityOptions& o) {
  bind(app, o.model, "prompt and what follows it");
  app.add_option("--n-score", o.n_score,
                 "Tokens after the prompt whose losses are compared with those of full attention; "
                 "0 = none")
      ->check(CLI::Range(0, 1 << 20))
      ->capture_default_str();
  app.add_option("--needle", o.needles,
                 "Questions of each task about facts hidden in the prompt; 0 = hide nothing")
      ->check(CLI::Range(0, bench::kMostNeedles))
      ->capture_default_str();
  app.add_option("--depths", o.depths, "Where facts are hidden: 0 = beginning of the text, 1 = end")
      ->delimiter(',')
      ->capture_default_str();
  app.add_option("--task", o.tasks, task_help())->delimiter(',')->capture_default_str();
  app.add_option("--chat", o.chat,
                 "Ask as a conversation in ChatML (on), as a text to be completed (off), or as the "
                 "vocabulary allows (auto)")
      ->check(CLI::IsMember({"auto", "on", "off"}))
      ->capture_default_str();
  bind(app, o.sparse);
}

void bind(CLI::App& app, AttentionOptions& o) {
  app.add_option("-d,--dump", o.dump, "Dump made by ra-dump")->required();
  app.add_option("-c,--contexts", o.contexts,
                 "Lengths in tokens, at most the dump's unless --synthetic; default all of it");
  app.add_flag("--synthetic", o.synthetic,
               "Contexts of any length made from the dump: its keys in runs, drawn anew, smoothed "
               "and turned to their new place; its last queries");
  app.add_flag("--cold", o.cold,
               "Empty the caches before each call, as the weights do in a step of a model");
  app.add_option("--layers", o.layers, "Layers, e.g. 0,5,12-15; default all dumped");
  app.add_option("--queries", o.queries, "Queries measured per layer: the last ones of the context")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  bind_repetitions(app, o.repetitions);
  bind(app, o.sparse);
}

void bind(CLI::App& app, CompareOptions& o) {
  app.add_option("base", o.base, "Result records or Google Benchmark JSON")->required();
  app.add_option("new", o.fresh, "The same of the version under test");
  app.add_option("--export", o.exports,
                 "FORMAT=FILE: write the measurements of the last file named as googlebench,\n"
                 "smaller-is-better, md, csv, or records without their times, as a baseline of\n"
                 "--counters; with one file that is all (repeat)")
      ->type_name("FORMAT=FILE");
  app.add_option("--threshold", o.threshold, "Smallest slow-down that counts")
      ->capture_default_str();
  app.add_option("--alpha", o.alpha, "Family-wise error rate (Holm)")
      ->check(CLI::Range(1e-6, 0.5))
      ->capture_default_str();
  app.add_option("--again", o.again,
                 "The base build measured once more in the same pairs: the threshold is at least "
                 "twice what it differs from itself");
  app.add_flag("--counters", o.counters,
               "Deterministic numbers only; of the machine only the CPU level has to be equal");
  app.add_flag("--exact", o.exact,
               "Deterministic numbers that got better fail too: the base is an accepted baseline");
  app.add_flag("--unpaired", o.unpaired,
               "Times without pairs decide too, though drift of the machine is not removed");
  app.add_flag("--allow-missing", o.allow_missing,
               "Records or numbers on one side only do not make it inconclusive");
  app.add_option("--format", o.format, "On stdout: md, csv, json or none")
      ->check(CLI::IsMember({"md", "csv", "json", "none"}))
      ->capture_default_str();
}

std::vector<ModeRun> mode_runs(const SparseModeOptions& o, bool on_cpu) {
  check_select(o);
  if (o.share && *o.share > 0 && *o.share < kLeastShare)
    fail_usage("--share", fmt::format("{} is below {}", *o.share, kLeastShare),
               "0 asks for k keys of each head");
  std::vector<index::IndexSpec> given;
  if (!o.index.empty())
    for (const Spec& spec : parse_specs(o.index)) given.push_back(index::check_index_spec(spec));
  std::vector<ModeRun> runs;
  std::set<std::string_view> used;
  for (const std::string& name : o.modes) {
    const attention::Mode& mode = attention::find_mode(name);
    ModeRun run{.mode = &mode,
                .sparse = {.sink = o.sink,
                           .window = o.window,
                           .k = o.k,
                           .cut = o.cut,
                           .effort = 0,
                           .tail = mode.tail,
                           .sequential = o.schedule == "sequential",
                           .flush = o.flush,
                           .index = {}},
                .index_text = {}};
    if (mode.index.empty()) {
      runs.push_back(std::move(run));
      continue;
    }
    const index::IndexSpec own = index::check_index_spec(parse_specs(mode.index).front());
    std::vector<index::IndexSpec> specs;
    for (const auto& spec : given) {
      const bool same_type = spec.spec.name == own.spec.name;
      // A type that has a mode of its own is not retrieval's, unless that mode is not run.
      const bool own_mode = std::any_of(o.modes.begin(), o.modes.end(), [&](const auto& m) {
        const auto& other = attention::find_mode(m);
        return !other.any_index &&
               parse_specs(other.index.empty() ? "-" : other.index).front().name == spec.spec.name;
      });
      if (!same_type && (!mode.any_index || own_mode)) continue;
      specs.push_back(same_type ? with_defaults(spec, own) : spec);
      used.insert(spec.spec.name);
    }
    if (specs.empty()) specs.push_back(own);
    for (const auto& spec : specs) {
      if (spec.efforts.size() != 1)
        fail_usage("--index",
                   fmt::format("{}: one effort per run here, not a sweep", spec.spec.text()));
      run.sparse.index = spec;
      run.sparse.effort = spec.efforts.front();
      if (mode.whole) run.sparse.k = run.sparse.effort;
      run.measured = o.budget == "measured" && !mode.whole;
      run.sparse.group = selects_for_group(o, run);
      set_share(o, on_cpu, run);
      run.index_text = spec.spec.text();
      runs.push_back(run);
    }
  }
  for (const auto& spec : given)
    if (!used.contains(spec.spec.name))
      fail_usage("--index", fmt::format("no chosen mode uses '{}'", spec.spec.name));
  if (o.share && *o.share > 0 &&
      std::ranges::none_of(runs, [](const ModeRun& run) { return run.sparse.share > 0; }))
    fail_usage("--share", "no chosen mode finds keys by their share of attention",
               "retrieval with qivf does, by groups (--select) and on the CPU");
  return runs;
}

void check_k(const SparseModeOptions& o, const std::vector<ModeRun>& runs, std::int64_t cached) {
  const std::int64_t keys = std::max<std::int64_t>(0, cached - o.sink - o.window);
  for (const ModeRun& run : runs)
    if (run.sparse.index && !run.mode->whole && run.sparse.share == 0 && o.k > keys)
      fail_usage("-k",
                 fmt::format("{} keys, but of {} positions only {} lie between --sink {} and "
                             "--window {}",
                             o.k, cached, keys, o.sink, o.window),
                 fmt::format("mode {} has nothing to choose from: lower one of them or leave the "
                             "length out",
                             run.mode->name));
}

std::vector<std::int64_t> parse_contexts(const std::string& text) {
  std::set<std::int64_t> out;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    const std::string_view item = std::string_view(text).substr(begin, end - begin);
    begin = end + 1;
    const std::size_t dash = item.find('-'), op = item.find_first_of("+*");
    if (dash == std::string_view::npos) {
      out.insert(number(item, text));
      continue;
    }
    const std::int64_t first = number(item.substr(0, dash), text);
    const std::int64_t last = number(item.substr(dash + 1, op - dash - 1), text);
    const bool multiply = op == std::string_view::npos || item[op] == '*';
    const std::int64_t step = op == std::string_view::npos ? 2 : number(item.substr(op + 1), text);
    if (first > last || (multiply && step < 2))
      fail_usage("-c", fmt::format("'{}' is an empty range or has a factor below 2", item));
    for (std::int64_t c = first; c <= last; c = multiply ? c * step : c + step) out.insert(c);
  }
  return {out.begin(), out.end()};
}

}  // namespace ra::bench_app
