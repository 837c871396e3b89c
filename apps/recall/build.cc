// SPDX-License-Identifier: Apache-2.0
// ra-recall build: what an index costs to build, and the health of its graph.
#include <fmt/core.h>

#include "apps/recall/indexing.h"
#include "apps/recall/saved_index.h"
#include "apps/recall/selection.h"
#include "lib/core/memory.h"
#include "lib/core/output_file.h"
#include "lib/core/progress.h"

namespace ra::recall {
namespace {

int run(const Options& o) {
  const auto dump = store::DumpReader::open(o.input);
  const Selection s = select(*dump, o);
  const auto specs = parse_indexes(o, s.n_keys());
  const Wanted wanted = wanted_by(specs, /*values=*/false);
  const MemoryNeed need[] = {
      {"vectors of one KV head", load_bytes(dump->info(), s, wanted)},
      {"an index", 2 * s.n_keys() * static_cast<std::uint64_t>(dump->info().head_dim) * 4}};
  check_memory(need, memory_limit(o.common.memory_limit));
  if (!o.save.empty()) {
    check_savable(specs, "--save");
    make_folder(o.save);
  }
  bench::ResultWriter writer(o.out, {.tool = "ra-recall"});
  const Json base = base_config(*dump, s, o);
  Progress progress("build", s.groups.size() * specs.size(), "indexes");
  std::size_t done = 0;
  for (const Group& group : s.groups) {
    const GroupVectors v = load(*dump, s, group, wanted);
    for (const index::IndexSpec& spec : specs) {
      for (const IndexUnit& unit :
           index_units(spec, group, s.n_keys(), s.train_rows.size(), v.heads.size(), base)) {
        stop_if_interrupted();
        const auto in = build_input(unit, v, o.common.seed);
        const auto index = index::build_index(spec, in);
        if (!o.save.empty()) save_index(o.save, o.force, unit, in, *index);
        writer.write(build_record(unit, *index));
      }
      progress.update(++done, fmt::format("layer {} KV head {}", group.layer, group.kv_head));
    }
  }
  if (o.out != "-") fmt::print("{}", build_table(writer.records(), o.format));
  return 0;
}

}  // namespace

void bind_build(CLI::App& root, Options& o, Chosen& chosen) {
  CLI::App* command =
      root.add_subcommand("build", "Build time, size and graph health of each index");
  bind_input(*command, o);
  bind_selection(*command, o);
  bind_training(*command, o);
  bind_index(*command, o);
  command->add_option("--save", o.save, "Keep the indexes in this folder, for curve --load");
  command->add_flag("--force", o.force, "Replace saved indexes");
  bind_records(*command, o);
  command->callback([&] { chosen = [&o] { return run(o); }; });
}

}  // namespace ra::recall
