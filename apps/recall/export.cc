// SPDX-License-Identifier: Apache-2.0
// ra-recall export: the vectors of each chosen layer and head in formats other tools read, with the
// keys, training and test queries of every other command.
#include <fmt/core.h>

#include <algorithm>
#include <filesystem>

#include "apps/recall/selection.h"
#include "apps/recall/vector_files.h"
#include "lib/core/memory.h"
#include "lib/core/output_file.h"
#include "lib/core/progress.h"

namespace ra::recall {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kNeighbors = 100;  // of the ground truth; fewer keys give fewer

// One head's vectors, the query sets joined: prompt first, then decode.
struct Set {
  const GroupVectors& v;
  const HeadVectors& head;
  Matrix<float> test;
  stats::ExactReference exact;
};

Set joined(const GroupVectors& v, const HeadVectors& head, bool truth) {
  std::size_t m = 0;
  for (const TestSet& t : head.tests) m += t.queries.rows();
  Set set{.v = v, .head = head, .test = Matrix<float>(m, v.keys.cols()), .exact = {}};
  std::size_t row = 0;
  for (const TestSet& t : head.tests)
    for (std::size_t i = 0; i < t.queries.rows(); ++i)
      std::copy_n(t.queries.row(i), v.keys.cols(), set.test.row(row++));
  if (truth) {
    stats::HeadData data;
    data.queries = set.test.view();
    data.keys = v.keys.view();
    set.exact = stats::exact_reference(data, std::min(kNeighbors, v.keys.rows()));
  }
  return set;
}

void write_bigann(const Set& set, const fs::path& stem, bool force) {
  const auto file = [&](const char* suffix) { return fs::path(stem.string() + suffix); };
  write_fbin(file(".base.fbin"), set.v.keys.view(), force);
  write_fbin(file(".query.fbin"), set.test.view(), force);
  if (set.head.train.rows() > 0) write_fbin(file(".learn.fbin"), set.head.train.view(), force);
  write_truth(file(".truth.bin"), set.exact.k, set.exact.ids, set.exact.scores, force);
}

void write_ann(const Set& set, const fs::path& stem, bool force) {
  store::AnnExport data;
  data.train = set.v.keys.view();
  data.test = set.test.view();
  data.learn = set.head.train.view();
  data.neighbors.assign(set.exact.ids.begin(), set.exact.ids.end());
  data.distances = set.exact.scores;
  data.k = set.exact.k;
  store::write_ann_file(stem.string() + ".hdf5", data, force);
}

void write_numpy(const Set& set, const fs::path& stem, const store::DumpInfo& info,
                 const Selection& s, bool force) {
  make_folder(stem);
  const auto write = [&](const char* name, MatView<const float> x) {
    if (info.dtype == store::DType::kF16)
      write_npy_f16(stem / name, x, force);
    else
      write_npy(stem / name, x, force);
  };
  write("K.npy", set.v.keys.view());
  write("V.npy", set.v.values.view());
  const std::size_t n_train = set.head.train.rows();
  Matrix<float> q(n_train + set.test.rows(), set.test.cols());
  std::copy_n(set.head.train.data(), n_train * q.cols(), q.data());
  std::copy_n(set.test.data(), set.test.rows() * q.cols(), q.row(n_train));
  write("Q.npy", q.view());
  std::vector<std::int64_t> positions;
  for (const std::int64_t row : s.train_rows)
    positions.push_back(info.q_pos[static_cast<std::size_t>(row)]);
  for (const TestRows& t : s.tests)
    for (const std::int64_t row : t.rows)
      positions.push_back(info.q_pos[static_cast<std::size_t>(row)]);
  write_npy(stem / "q_pos.npy", positions, force);
}

Json describe(const Set& set, const store::DumpReader& dump, const Selection& s, const Options& o) {
  Json j;
  j["format"] = o.export_format;
  j["dump_sha256"] = dump.sha256();
  j["model_sha256"] = dump.info().model_sha256;
  j["layer"] = set.v.group.layer;
  j["head"] = set.head.head;
  j["kv_head"] = set.v.group.kv_head;
  j["first_key"] = s.first_key;
  j["last_key"] = s.last_key;
  j["n"] = set.v.keys.rows();
  j["d"] = set.v.keys.cols();
  j["n_train"] = set.head.train.rows();
  for (const TestSet& t : set.head.tests) j["n_test_" + t.name] = t.queries.rows();
  j["scale"] = set.v.scale;
  j["metric"] = "inner product";
  return j;
}

int run(const Options& o) {
  const auto dump = store::DumpReader::open(o.input);
  const Selection s = select(*dump, o);
  const bool npy = o.export_format == "npy";
  const Wanted wanted{.values = npy, .train = true};
  const MemoryNeed need[] = {{"vectors of one KV head", 2 * load_bytes(dump->info(), s, wanted)}};
  check_memory(need, memory_limit(o.common.memory_limit));
  make_folder(o.out);
  Progress progress("export", s.groups.size(), "KV heads");
  std::size_t sets = 0;
  for (std::size_t g = 0; g < s.groups.size(); ++g) {
    const GroupVectors v = load(*dump, s, s.groups[g], wanted);
    for (const HeadVectors& head : v.heads) {
      if (!head.chosen) continue;
      stop_if_interrupted();
      const Set set = joined(v, head, !npy);
      const fs::path stem =
          fs::path(o.out) / fmt::format("layer{:03}_head{:03}", v.group.layer, head.head);
      if (npy)
        write_numpy(set, stem, dump->info(), s, o.force);
      else if (o.export_format == "bigann")
        write_bigann(set, stem, o.force);
      else
        write_ann(set, stem, o.force);
      write_file(stem.string() + ".json", describe(set, *dump, s, o).dump(2) + "\n", o.force);
      ++sets;
    }
    progress.update(g + 1);
  }
  if (!o.common.quiet) fmt::print("{} sets in {}\n", sets, o.out);
  return 0;
}

}  // namespace

void bind_export(CLI::App& root, Options& o, Chosen& chosen) {
  CLI::App* command =
      root.add_subcommand("export", "Keys and queries as bigann, ann-benchmarks or npy files");
  bind_input(*command, o);
  bind_selection(*command, o);
  bind_training(*command, o);
  command->add_option("--format", o.export_format, "bigann, ann-benchmarks or npy")
      ->required()
      ->check(CLI::IsMember({"bigann", "ann-benchmarks", "npy"}));
  command->add_option("-o,--out", o.out, "Folder for the sets; created if absent")->required();
  command->add_flag("--force", o.force, "Replace existing files");
  command->callback([&] { chosen = [&o] { return run(o); }; });
}

}  // namespace ra::recall
