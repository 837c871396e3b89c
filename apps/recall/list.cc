// SPDX-License-Identifier: Apache-2.0
// ra-recall list: index types with their keys, and what a dump holds.
#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <vector>

#include "apps/recall/options.h"
#include "lib/bench/table.h"
#include "lib/index/registry.h"
#include "lib/store/vectors.h"

namespace ra::recall {
namespace {

// What a key accepts, without the bar that divides table cells.
std::string allowed(const ParamInfo& p) {
  if (p.kind == "int") return fmt::format("{:.0f}..{:.0f}", p.min, p.max);
  if (p.kind == "float") return fmt::format("{:g}..{:g}", p.min, p.max);
  std::string out;
  for (const char c : p.kind) out += c == '|' ? std::string(", ") : std::string(1, c);
  return out;
}

// Lines of at most `width` characters, cut at spaces.
std::vector<std::string> wrapped(std::string_view text, std::size_t width) {
  std::vector<std::string> lines;
  while (text.size() > width) {
    const std::size_t space = text.rfind(' ', width);
    const std::size_t cut = space == std::string_view::npos ? width : space;
    lines.emplace_back(text.substr(0, cut));
    text.remove_prefix(std::min(text.size(), cut + (space == std::string_view::npos ? 0 : 1)));
  }
  lines.emplace_back(text);
  return lines;
}

void print_indexes(const Options& o) {
  bench::Table t({"<index", "<key", "<of", "<default", "<allowed", "<meaning"});
  // The two long cells are wrapped, so that the table fits 100 columns.
  const auto add = [&](std::vector<std::string> cells, const std::string& values,
                       const std::string& meaning) {
    const bool whole = o.format == "csv";
    const auto left = wrapped(values, whole ? values.size() : 16),
               right = wrapped(meaning, whole ? meaning.size() : 28);
    for (std::size_t i = 0; i < std::max(left.size(), right.size()); ++i) {
      cells.push_back(i < left.size() ? left[i] : "");
      cells.push_back(i < right.size() ? right[i] : "");
      t.add(cells);
      cells.assign(4, "");
    }
  };
  for (const index::IndexType& type : index::index_types()) {
    add({std::string(type.name), "", "", ""}, "",
        std::string(type.help) + (type.query_aware ? " (needs training queries)" : ""));
    for (const ParamInfo& p : type.params)
      add({"", std::string(p.key), p.search ? "search" : "build", std::string(p.default_value)},
          allowed(p), std::string(p.help));
  }
  fmt::print("{}", t.render(o.format));
}

// Ascending numbers as closed ranges: 0,2-5.
std::string ranges(const std::vector<int>& x) {
  std::string out;
  for (std::size_t i = 0; i < x.size();) {
    std::size_t j = i;
    while (j + 1 < x.size() && x[j + 1] == x[j] + 1) ++j;
    out += fmt::format("{}{}", out.empty() ? "" : ",", x[i]);
    if (j > i) out += fmt::format("-{}", x[j]);
    i = j + 1;
  }
  return out;
}

void print_dump(const Options& o) {
  const auto dump = store::DumpReader::open(o.input);
  const store::DumpInfo& d = dump->info();
  const auto decode = std::count(d.phase.begin(), d.phase.end(), 1);
  const char* const types[] = {"f16", "bf16", "f32"};
  bench::Table t({"<dump", "<"});
  t.add({"model", fmt::format("{} ({}, {})", d.model_name, d.architecture, d.model_file)});
  t.add({"model sha256", d.model_sha256});
  t.add({"tokens", fmt::format("{} ({} prompt, {} generated)", d.n_tokens, d.n_prefill,
                               d.n_tokens - d.n_prefill)});
  t.add({"layers", fmt::format("{} of {}", ranges(d.layers), d.n_layers)});
  std::map<std::int64_t, std::vector<int>> windows;
  for (const auto& [layer, attributes] : d.layer_attributes)
    if (attributes.sliding_window > 0) windows[attributes.sliding_window].push_back(layer);
  for (const auto& [window, layers] : windows)
    t.add({fmt::format("window of {} keys", window), fmt::format("layers {}", ranges(layers))});
  t.add({"heads", fmt::format("{} query, {} KV, dimension {} (values {})", d.n_heads, d.n_kv_heads,
                              d.head_dim, d.value_dim)});
  t.add({"queries",
         fmt::format("{} prompt, {} decode, positions {}-{}",
                     static_cast<std::ptrdiff_t>(d.phase.size()) - decode, decode,
                     d.q_pos.empty() ? 0 : d.q_pos.front(), d.q_pos.empty() ? 0 : d.q_pos.back())});
  t.add({"values",
         fmt::format("{}, score = {:.6g} q.k, RoPE {} base {:g}", types[static_cast<int>(d.dtype)],
                     d.scale, d.rope_style, d.rope_base)});
  t.add({"written", fmt::format("{} by {} ({}), seed {}", d.created_utc, d.tool_version,
                                d.git_commit, d.seed)});
  fmt::print("{}", t.render(o.format));
}

int run(const Options& o) {
  if (!o.input.empty()) {
    print_dump(o);
    fmt::print("\n");
  }
  print_indexes(o);
  return 0;
}

}  // namespace

void bind_list(CLI::App& root, Options& o, Chosen& chosen) {
  CLI::App* command = root.add_subcommand(
      "list", "Index types with keys, defaults and ranges; with -d, what the dump holds");
  bind_input(*command, o, /*required=*/false);
  command->add_option("--format", o.format, "md, csv or none")
      ->check(CLI::IsMember({"md", "csv", "none"}))
      ->capture_default_str();
  command->callback([&] { chosen = [&o] { return run(o); }; });
}

}  // namespace ra::recall
