// SPDX-License-Identifier: Apache-2.0
#include "apps/bench/mode_policy.h"

#include <fmt/format.h>

#include <algorithm>

#include "lib/core/parallel.h"
#include "lib/core/progress.h"
#include "lib/model/rope.h"

namespace ra::bench_app {

std::vector<ModePolicy> build_policies(const std::vector<ModeRun>& runs,
                                       const ModelContext& context, std::uint64_t seed) {
  std::vector<ModePolicy> built;
  for (const ModeRun& run : runs) {
    ModePolicy m{.run = run};
    if (run.mode->dense) {
      m.policy = std::make_unique<model::ExactAttention>();
    } else {
      auto sparse = std::make_unique<attention::SparseAttention>(
          attention::shape_of(context.input().model.config), run.sparse);
      Progress progress(fmt::format("build {}", run.mode->name),
                        static_cast<std::uint64_t>(std::max(1, sparse->index_count())), "indexes");
      attention::SparseAttention::QueriesOf queries;
      if (const auto* sample = context.queries())
        queries = [sample](int layer, int head) { return sample->head(layer, head); };
      sparse->build(context.cache(), queries, seed,
                    [&](int done) { progress.update(static_cast<std::uint64_t>(done)); });
      m.sparse = sparse.get();
      m.policy = std::move(sparse);
    }
    built.push_back(std::move(m));
  }
  return built;
}

Json model_config(const ModelOptions& o, const SparseModeOptions& sparse,
                  const ModelContext& context, const ModeRun& run, std::uint64_t seed,
                  const Json& own) {
  const ModelInput& in = context.input();
  const Json none = nullptr;
  const bool dense = run.mode->dense;
  const auto& index = run.sparse.index;
  Json config = {{"model_sha256", in.file->sha256()},
                 {"input_sha256", in.sha256},
                 {"seed", seed},
                 {"threads", threads()},
                 {"deterministic", true},
                 {"architecture", in.model.config.architecture},
                 {"mode", run.mode->name}};
  config.update(own);
  config.update({{"kv_dtype", o.kv_dtype},
                 {"compute", o.compute},
                 {"load_mode", o.load_mode},
                 {"k", index ? Json(sparse.k) : none},
                 {"sink", dense ? none : Json(sparse.sink)},
                 {"window", dense ? none : Json(sparse.window)},
                 {"index", run.index_text.empty() ? none : Json(run.index_text)},
                 {"train", index && index->needs_queries ? Json(context.train()) : none}});
  if (!o.rope.scaling.empty())
    config["rope_scaling"] = Json::parse(model::rope_scaling_json(in.model.config));
  return config;
}

double scanned_frac(const ModeRun& run, const model::AttendStats& stats) {
  if (run.mode->dense) return 1;
  if (stats.indexed_keys == 0) return 0;
  return static_cast<double>(stats.distances) / static_cast<double>(stats.indexed_keys);
}

}  // namespace ra::bench_app
