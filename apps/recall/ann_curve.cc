// SPDX-License-Identifier: Apache-2.0
#include "apps/recall/ann_curve.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "apps/recall/curve_table.h"
#include "apps/recall/evaluate.h"
#include "apps/recall/indexing.h"
#include "lib/core/error.h"
#include "lib/core/hash.h"
#include "lib/core/parallel.h"
#include "lib/core/progress.h"
#include "lib/stats/recall.h"
#include "lib/store/vectors.h"

namespace ra::recall {
namespace {

// What an ann-benchmarks file has no notion of must not be silently ignored.
void refuse_dump_options(const Options& o) {
  if (!o.layers.empty() || !o.heads.empty() || !o.kv_heads.empty() || !o.keys.empty() ||
      !o.test_queries.empty())
    fail_usage("--layers, --heads, --kv-heads, --keys, --test-queries",
               "an ann-benchmarks style file is one set of vectors");
  if (o.direction != "q_to_k")
    fail_usage("--direction", "only q_to_k for an ann-benchmarks style file");
  if (o.batch != "query" || o.select != "head")
    fail_usage("--batch, --select", "an ann-benchmarks style file has no groups");
  if (o.repeats > 1 || o.test_draw > 0 || !o.train_pick.empty())
    fail_usage("--repeats, --test-draw, --train-pick",
               "only for a dump, not for an ann-benchmarks style file");
  if (!o.load.empty() || o.resume)
    fail_usage("--load, --resume", "only for a dump, not for an ann-benchmarks style file");
}

void check_shapes(const store::AnnFile& file, const Options& o) {
  const auto refuse = [&](const std::string& where, const std::string& why) {
    fail_bad_data({.what = "bad vectors", .file = o.input, .where = where, .why = why, .hint = ""});
  };
  const auto check = [&](const Matrix<float>& x, const std::string& where) {
    if (x.rows() > 0 && x.cols() != file.train.cols())
      refuse(where, fmt::format("{} columns, train has {}", x.cols(), file.train.cols()));
    for (std::size_t i = 0; i < x.rows(); ++i)
      for (const float v : x.row_span(i))
        if (!std::isfinite(v)) refuse(fmt::format("{} row {}", where, i), "holds NaN or infinity");
  };
  if (file.train.rows() == 0) refuse("train", "no rows");
  if (file.test.rows() == 0) refuse("test", "no rows");
  check(file.train, "train");
  check(file.test, "test");
  check(file.learn, "learn");
}

// Whether the file's own neighbours are exact answers by inner product, ties apart.
bool neighbors_agree(const store::AnnFile& file) {
  const std::size_t k = std::min(file.n_neighbors, file.train.rows());
  stats::HeadData data;
  data.queries = file.test.view();
  data.keys = file.train.view();
  const stats::ExactReference exact = stats::exact_reference(data, k);
  for (std::size_t i = 0; i < file.test.rows(); ++i) {
    std::vector<std::uint32_t> ids;
    std::vector<float> scores;
    for (std::size_t j = 0; j < k; ++j) {
      const std::int32_t id = file.neighbors[i * file.n_neighbors + j];
      if (id < 0 || static_cast<std::size_t>(id) >= file.train.rows()) return false;
      ids.push_back(static_cast<std::uint32_t>(id));
      scores.push_back(
          stats::exact_dot(file.test.row(i), file.train.row(ids.back()), file.train.cols()));
    }
    if (stats::recall_at_k(ids, scores, {exact.top_ids(i), exact.top_scores(i), exact.max_abs[i]})
            .tie < 1)
      return false;
  }
  return true;
}

}  // namespace

int run_ann_curve(const Options& o) {
  refuse_dump_options(o);
  store::AnnFile file = store::read_ann_file(o.input);
  check_shapes(file, o);
  check_k(o.k, file.train.rows(), "-k");
  const auto specs = parse_indexes(o, file.train.rows());
  bench::ResultWriter writer(o.out, {.tool = "ra-recall", .samples = !o.no_samples});

  Json extra = Json::object();
  if (file.n_neighbors > 0) {
    const bool agree = neighbors_agree(file);
    extra["given_neighbors_agree"] = agree;
    const std::string warning = fmt::format(
        "{}: neighbors: not the exact answers by inner product; recomputed", escaped(o.input));
    if (!agree) cli::warn(o.common, {&warning, 1});
  }
  Json base;
  base["model_sha256"] = nullptr;
  base["input_sha256"] = sha256_file(o.input);
  base["seed"] = o.common.seed;
  base["threads"] = threads();
  base["deterministic"] = true;

  GroupVectors v;
  v.group.heads = {0};
  v.keys = std::move(file.train);
  v.heads.push_back({.head = 0, .chosen = true, .train = std::move(file.learn), .tests = {}});
  stats::HeadData data;
  data.queries = file.test.view();
  data.keys = v.keys.view();
  const stats::ExactReference exact = stats::exact_reference(data, static_cast<std::size_t>(o.k));
  const Judged judged{.head = data, .exact = exact, .self = {}, .exact_loss = {}};
  const std::size_t n_train = v.heads[0].train.rows();
  Progress progress("curve", specs.size(), "indexes");
  std::size_t done = 0;
  for (const index::IndexSpec& spec : specs) {
    for (const IndexUnit& unit : index_units(spec, v.group, v.keys.rows(), n_train, 1, base)) {
      const auto built = index::build_index(spec, build_input(unit, v, o.common.seed));
      writer.write(build_record(unit, *built));
      Json previous;  // metrics of the last point
      for (const int effort : spec.efforts) {
        stop_if_interrupted();
        bench::Result r = std::move(evaluate(*built, {.k = o.k, .effort = effort}, {&judged, 1},
                                             {.timed = !o.untimed, .seed = o.common.seed})
                                        .front());
        if (sweep_saturated(spec, previous.is_null() ? nullptr : &previous, r.metrics)) break;
        previous = r.metrics;
        r.config = base;
        for (const char* name : {"layer", "head", "kv_head"}) r.config[name] = nullptr;
        r.config["index"] = spec.build_text();
        r.config["search"] = search_text(spec, effort);
        r.config["k"] = o.k;
        r.config["n_keys"] = v.keys.rows();
        r.config["n_queries"] = data.queries.rows;
        r.config["n_train"] = n_train;
        r.config["query_set"] = "test";
        r.config["direction"] = "q_to_k";
        r.extra.update(extra);
        writer.write(r);
      }
    }
    progress.update(++done);
  }
  if (o.out != "-") fmt::print("{}", curve_table(writer.records(), o));
  return 0;
}

}  // namespace ra::recall
