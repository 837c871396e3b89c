// SPDX-License-Identifier: Apache-2.0
// The library from outside: the keys of one head of a dump, an index of them, and how much of the
// exact answers it finds. search_dump DUMP [INDEX], for example search_dump dump.h5 qivf:probes=64
#include <algorithm>
#include <cstdio>

#include "lib/core/error.h"
#include "lib/index/registry.h"
#include "lib/stats/exact_attention.h"
#include "lib/stats/recall.h"
#include "lib/store/vectors.h"

int main(int argc, char** argv) try {
  if (argc < 2) ra::fail_usage("DUMP", "missing", "search_dump DUMP [INDEX]");
  constexpr std::size_t k = 10;
  const auto dump = ra::store::DumpReader::open(argv[1]);
  const int layer = dump->info().layers.front(), head = 0, kv_head = 0;

  // Keys: the first three quarters of the prompt. Queries before their end teach the index, later
  // ones, which attend to all of them, test it.
  const auto& q_pos = dump->info().q_pos;
  const std::int64_t n_keys = dump->info().n_prefill * 3 / 4;
  const auto n_train = std::ranges::lower_bound(q_pos, n_keys) - q_pos.begin();
  const auto n_test = static_cast<std::int64_t>(q_pos.size()) - n_train;
  const ra::Matrix<float> keys = dump->read_k(layer, kv_head, 0, n_keys);
  const ra::Matrix<float> train = dump->read_q(layer, head, 0, n_train);
  const ra::Matrix<float> test = dump->read_q(layer, head, n_train, n_test);

  const auto spec = ra::index::check_index_spec(ra::parse_specs(argc > 2 ? argv[2] : "qivf").at(0));
  const auto index = ra::index::build_index(spec, {keys.view(), {{train.view(), {}}}});
  const auto exact = ra::stats::exact_reference({.queries = test.view(), .keys = keys.view()}, k);
  const auto scratch = index->make_scratch();
  double found = 0;
  ra::index::SearchStats work;
  for (std::size_t i = 0; i < test.rows(); ++i) {
    std::vector<ra::index::Hit> hits;
    work += index->search(test.view().row_range(i, 1), {.k = k, .effort = spec.efforts.front()},
                          *scratch, {&hits, 1});
    std::vector<std::uint32_t> ids;
    std::vector<float> scores;
    for (const auto& hit : hits) ids.push_back(hit.id), scores.push_back(hit.score);
    const ra::stats::ExactTop top{exact.top_ids(i), exact.top_scores(i), exact.max_abs[i]};
    found += ra::stats::recall_at_k(ids, scores, top).tie;
  }
  const auto queries = static_cast<double>(test.rows());
  std::printf("%s recall@%zu %.4f scanned %.4f\n", spec.build_text().c_str(), k, found / queries,
              static_cast<double>(work.distances) / queries / static_cast<double>(keys.rows()));
} catch (const ra::Error& e) {
  std::fprintf(stderr, "search_dump: error: %s\n", e.what());
  return static_cast<int>(e.code());
}
