// SPDX-License-Identifier: Apache-2.0
#include "lib/index/registry.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "lib/core/error.h"
#include "lib/core/provenance.h"
#include "lib/index/coded_scan.h"
#include "lib/index/faiss_adapter.h"
#include "lib/index/flat.h"
#include "lib/index/hnswlib_adapter.h"
#include "lib/index/pages.h"
#include "lib/index/qgraph.h"
#include "lib/index/qivf.h"
#include "lib/index/query_metric.h"
#include "lib/index/roar.h"

namespace ra::index {
namespace {

std::vector<IndexType> make_types() {
  std::vector<IndexType> types;
  types.push_back({.name = "flat",
                   .help = "exact scan, read once for the heads of a group; the ground truth",
                   .params = flat_params(),
                   .effort_key = "",
                   .query_aware = false,
                   .build = build_flat,
                   .restore = restore_flat,
                   .for_group = flat_for_group,
                   .bytes = flat_bytes});
  types.push_back({.name = "qivf",
                   .help = "lists of keys that score alike for the training queries, two levels",
                   .params = qivf_params(),
                   .effort_key = "probes",
                   .moments = true,
                   .build = build_qivf,
                   .restore = restore_qivf,
                   .segment = qivf_segment,
                   .for_group = qivf_for_group,
                   .by_share = qivf_by_share,
                   .bytes = qivf_bytes});
  types.push_back({.name = "qscan",
                   .help = "scan of low-rank codes in the metric of the training queries",
                   .params = qscan_params(),
                   .effort_key = "rerank",
                   .query_aware = true,
                   .moments = true,
                   .build = build_qscan,
                   .restore = restore_qscan,
                   .for_group = [](const ParamReader&) { return true; },
                   .bytes = qscan_bytes});
  types.push_back({.name = "qgraph",
                   .help =
                       "graph of keys that score alike for a head's training queries, entered at "
                       "the last queries' hits",
                   .params = qgraph_params(),
                   .effort_key = "worth",
                   .query_aware = true,
                   .build = build_qgraph,
                   .restore = restore_qgraph,
                   .bytes = qgraph_bytes});
  types.push_back({.name = "pages",
                   .help = "pages of consecutive keys, those with the highest bounds read whole",
                   .params = pages_params(),
                   .effort_key = "keys",
                   .build = build_pages,
                   .restore = restore_pages,
                   .segment = pages_segment,
                   .bytes = pages_bytes});
  const auto baselines = faiss_index_types();
  types.insert(types.end(), baselines.begin(), baselines.end());
  const auto graphs = hnswlib_index_types();
  types.insert(types.end(), graphs.begin(), graphs.end());
  types.push_back({.name = "roar",
                   .help = "attention-aware graph learnt from the training queries",
                   .params = roar_params(),
                   .effort_key = "ef",
                   .query_aware = true,
                   .build = build_roar,
                   .restore = restore_roar,
                   .lists = roar_lists,
                   .bytes = roar_bytes});
  return types;
}

bool has_key(const IndexType& type, std::string_view key) {
  return std::any_of(type.params.begin(), type.params.end(),
                     [&](const ParamInfo& p) { return p.key == key; });
}

void check_values(const ParamReader& reader, std::span<const ParamInfo> table) {
  for (const ParamInfo& p : table) {
    if (p.kind == "float") {
      reader.number(p.key);
    } else if (p.kind != "int") {
      reader.choice(p.key);
    } else if (p.search) {
      reader.integers(p.key);
    } else {
      reader.integer(p.key);
    }
  }
}

void check_finite(MatView<const float> rows, std::string_view what) {
  for (std::size_t i = 0; i < rows.rows; ++i) {
    // One non-finite element makes the sum non-finite; a large sum of finite ones may overflow too,
    // so only then look closer.
    float sum = 0;
    for (std::size_t j = 0; j < rows.cols; ++j) sum += std::abs(rows.row(i)[j]);
    if (std::isfinite(sum)) continue;
    for (std::size_t j = 0; j < rows.cols; ++j)
      if (!std::isfinite(rows.row(i)[j]))
        fail_bad_data({.what = "bad vectors",
                       .file = "",
                       .where = fmt::format("{} row {} element {}", what, i, j),
                       .why = fmt::format("{} is not finite", rows.row(i)[j]),
                       .hint = ""});
  }
}

void check_keys(const IndexSpec& spec, MatView<const float> keys) {
  RA_CHECK(spec.type != nullptr);
  if (keys.rows == 0 || keys.cols == 0)
    fail_bad_data({.what = "cannot build index",
                   .file = "",
                   .where = spec.spec.text(),
                   .why = "there are no keys to index",
                   .hint = "all positions lie in the sink and the window?"});
  check_finite(keys, "key");
}

void check_training(const BuildInput& in) {
  for (const QuerySet& set : in.train) {
    RA_CHECK(set.rows.rows == 0 || set.rows.cols == in.keys.cols);
    RA_CHECK(set.moment.rows == 0 ||
             (set.moment.rows == in.keys.cols && set.moment.cols == in.keys.cols));
    check_finite(set.rows, "training query");
    check_finite(set.moment, "second moment of the training queries");
  }
}

}  // namespace

void note_libraries() {
  note_library("eigen", eigen_version());
  note_faiss();
}

std::span<const IndexType> index_types() {
  static const std::vector<IndexType> types = make_types();
  return types;
}

const IndexType& find_index_type(std::string_view name) {
  std::string known;
  for (const IndexType& type : index_types()) {
    if (type.name == name) return type;
    known += fmt::format("{}{}", known.empty() ? "" : ", ", type.name);
  }
  fail_usage("--index", fmt::format("unknown index '{}'", name), "known: " + known);
}

std::string IndexSpec::build_text() const {
  Spec build = spec;
  if (type != nullptr) build.params.erase(std::string(type->effort_key));
  return build.text();
}

std::size_t IndexSpec::piece(std::size_t first) const {
  RA_CHECK(segment > 0);
  return type->segment(ParamReader(spec, type->params), first);
}

IndexSpec check_index_spec(const Spec& spec) {
  IndexSpec out;
  out.spec = spec;
  out.type = &find_index_type(spec.name);
  const ParamReader reader(out.spec, out.type->params);
  check_values(reader, out.type->params);
  if (has_key(*out.type, "share")) out.share_group = reader.choice("share") == "group";
  out.needs_queries =
      out.type->query_aware || (has_key(*out.type, "metric") && reader.choice("metric") == "query");
  if (out.type->segment != nullptr) out.segment = out.type->segment(reader, 0);
  if (out.type->for_group != nullptr)
    out.for_group = out.share_group && out.type->for_group(reader);
  if (out.type->by_share != nullptr) out.by_share = out.share_group && out.type->by_share(reader);
  if (out.type->lists != nullptr) out.lists = out.type->lists(reader);
  if (out.type->effort_key.empty()) {
    out.efforts = {0};
  } else {
    for (const std::int64_t effort : reader.integers(out.type->effort_key))
      out.efforts.push_back(static_cast<int>(effort));
  }
  return out;
}

std::unique_ptr<VectorIndex> build_index(const IndexSpec& spec, const BuildInput& in) {
  check_keys(spec, in.keys);
  check_training(in);
  if (spec.needs_queries && !has_queries(in.train))
    fail_bad_data({.what = "cannot build index",
                   .file = "",
                   .where = spec.spec.text(),
                   .why = "it learns from training queries, and there are none",
                   .hint = "use flat, ivf or hnsw with metric=raw, or data with training queries"});
  return spec.type->build(in, ParamReader(spec.spec, spec.type->params));
}

std::size_t index_bytes(const IndexSpec& spec, const KeyShape& shape) {
  RA_CHECK(spec.type != nullptr);
  if (shape.keys == 0) return 0;
  return spec.type->bytes(shape, ParamReader(spec.spec, spec.type->params));
}

void append_keys(const IndexSpec& spec, VectorIndex& index, const BuildInput& more) {
  check_keys(spec, more.keys);
  check_training(more);
  index.append(more);
}

std::unique_ptr<VectorIndex> restore_index(const IndexSpec& spec, const BuildInput& in,
                                           const IndexState& state) {
  check_keys(spec, in.keys);
  RA_CHECK(spec.type->restore != nullptr);
  return spec.type->restore(in, ParamReader(spec.spec, spec.type->params), state);
}

}  // namespace ra::index
