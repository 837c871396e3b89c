// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <memory>

#include "tests/bench_micro/cases.h"
#include "tests/index/synthetic.h"

namespace ra::bench_micro {
namespace {

constexpr std::size_t kKeys = 2048, kDim = 64, kTrain = 512;
constexpr int kBest = 100;
constexpr std::size_t kQueries = 10;  // of a call

// An index and the queries that it is asked, one after the other: a call is all kQueries of them.
struct Searched {
  index::testing::OodSet set = index::testing::ood_set(kKeys, kDim, kTrain, 1);
  std::unique_ptr<index::VectorIndex> index;
  std::unique_ptr<index::SearchScratch> scratch;
  std::vector<std::vector<index::Hit>> hits{1};

  explicit Searched(const std::string& spec)
      : index(index::testing::build(spec, set.keys.view(), set.train.view())) {}
  index::SearchStats search() {
    // What an index remembers of queries before is dropped, so that every call does the same.
    if (scratch == nullptr || index->sequential()) scratch = index->make_scratch();
    index::SearchStats stats;
    const auto queries = std::as_const(set.test).view().row_range(0, kQueries);
    for (std::size_t i = 0; i < queries.rows; ++i)
      stats += index->search(queries.row_range(i, 1), {.k = kBest}, *scratch, hits);
    return stats;
  }
};

Case search_case(const std::string& spec) {
  const auto s = std::make_shared<Searched>(spec);
  const index::SearchStats stats = s->search();
  return {
      .bytes = static_cast<double>(stats.bytes),
      .flops = 2.0 * kDim * static_cast<double>(stats.distances),
      .product = Product::kCodes,  // most rank codes first
      .call = [s] { s->search(); },
      .data_bytes = std::min(static_cast<double>(stats.bytes),
                             static_cast<double>(s->set.keys.view().rows * kDim * sizeof(float) +
                                                 s->index->memory_bytes())),
      .work_distances = static_cast<double>(stats.distances),
      .work_hops = static_cast<double>(stats.hops)};
}

}  // namespace

std::vector<CaseMaker> index_cases() {
  std::vector<CaseMaker> all;
  for (const auto& type : index::index_types()) {
    const std::string name(type.name);
    all.push_back({"search/" + name, [name] { return search_case(name); }});
  }
  for (const std::string bits : {"8", "4"})
    all.push_back({"search/flat_bits" + bits, [bits] { return search_case("flat:bits=" + bits); }});
  return all;
}

}  // namespace ra::bench_micro
