// SPDX-License-Identifier: Apache-2.0
// What every index of the table promises, whatever it is.
#include <gtest/gtest.h>

#include <set>
#include <thread>

#include "lib/core/error.h"
#include "lib/core/parallel.h"
#include "lib/index/index_state.h"
#include "tests/index/synthetic.h"

namespace ra::index {
namespace {

using testing::Found;

// Every type with every metric it has.
std::vector<std::string> all_specs() {
  std::vector<std::string> specs;
  for (const IndexType& type : index_types()) {
    std::vector<std::string> metrics;
    for (const ParamInfo& p : type.params)
      if (p.key == "metric")
        for (const std::string metric : {"raw", "lift", "centred", "query"})
          if (p.kind.find(metric) != std::string_view::npos) metrics.push_back(metric);
    if (metrics.empty()) specs.emplace_back(type.name);
    const std::string small = type.name == "roar"             ? ",m=12,beam=40,knn=20"
                              : type.name.starts_with("hnsw") ? ",m=8,ef_construction=40"
                                                              : "";
    for (const auto& metric : metrics)
      specs.push_back(std::string(type.name) + ":metric=" + metric + small);
  }
  specs.emplace_back(
      "roar:metric=raw,pool=0,entry=centroid,batches=1,repair=0,m=12,beam=40,knn=20");  // as
                                                                                        // published
  specs.emplace_back("roar:entry=last,m=12,beam=40,knn=20");
  for (const char* coded :
       {"flat:bits=8", "flat:bits=4", "qscan:rank=8", "qivf:codes=none", "qivf:codes=8"})
    specs.emplace_back(coded);
  return specs;
}

constexpr int kFull = 1 << 20;  // more than any number of keys or lists here

class ContractTest : public ::testing::TestWithParam<std::string> {
 protected:
  std::unique_ptr<VectorIndex> build(MatView<const float> keys, MatView<const float> train) const {
    return testing::build(GetParam(), keys, train);
  }
};

void expect_well_formed(const VectorIndex& index, MatView<const float> keys,
                        MatView<const float> queries, const Found& found, std::size_t k) {
  for (std::size_t i = 0; i < queries.rows; ++i) {
    const auto& hits = found.hits[i];
    EXPECT_LE(hits.size(), std::min(k, keys.rows));
    EXPECT_TRUE(std::is_sorted(hits.begin(), hits.end(), better));
    std::set<std::uint32_t> ids;
    for (const Hit& hit : hits) {
      ASSERT_LT(hit.id, keys.rows);
      EXPECT_TRUE(ids.insert(hit.id).second) << "id " << hit.id << " twice";
      double score = 0, magnitude = 0;
      for (std::size_t j = 0; j < keys.cols; ++j) {
        score += static_cast<double>(queries.row(i)[j]) * keys.row(hit.id)[j];
        magnitude += std::abs(static_cast<double>(queries.row(i)[j]) * keys.row(hit.id)[j]);
      }
      EXPECT_NEAR(hit.score, score, 1e-6 * magnitude + 1e-7) << "scores are exact inner products";
    }
  }
  EXPECT_GE(found.stats.distances, static_cast<std::int64_t>(queries.rows));
  EXPECT_LE(found.stats.coded, found.stats.distances);
  EXPECT_GT(found.stats.bytes, 0);
  EXPECT_GE(found.stats.hops, 0);
  EXPECT_GE(index.memory_bytes(), keys.rows * keys.cols * sizeof(bf16));
  EXPECT_LE(index.memory_bytes(), keys.rows * (keys.cols * 16 + 4096));
  const BuildStats& s = index.build_stats();
  for (const double value :
       {s.build_ms, s.knn_ms, s.project_ms, s.connect_ms, s.cpu_s, static_cast<double>(s.distances),
        s.degree_mean, static_cast<double>(s.degree_max)})
    EXPECT_GE(value, 0);
  EXPECT_GT(s.reachable_frac, 0);
  EXPECT_LE(s.reachable_frac, 1);
}

TEST_P(ContractTest, HitsAreWellFormedAtEveryEffort) {
  const auto set = testing::ood_set(300, 16, 150, 3);
  const auto index = build(set.keys.view(), set.train.view());
  for (const int k : {1, 10, 64})
    for (const int effort : {0, 1, 7, kFull}) {
      SCOPED_TRACE(std::to_string(k) + " hits at effort " + std::to_string(effort));
      expect_well_formed(*index, set.keys.view(), set.test.view(),
                         testing::search(*index, set.test.view(), k, effort), k);
    }
}

TEST_P(ContractTest, FullEffortIsExactWhereEverythingIsReachable) {
  const auto set = testing::ood_set(300, 16, 150, 5);
  const auto index = build(set.keys.view(), set.train.view());
  const auto flat = testing::build("flat", set.keys.view());
  const auto found = testing::search(*index, set.test.view(), 20, kFull);
  const auto truth = testing::search(*flat, set.test.view(), 20, 0);
  if (index->build_stats().reachable_frac < 1) GTEST_SKIP() << "the graph is not connected";
  for (std::size_t i = 0; i < found.hits.size(); ++i) {
    ASSERT_EQ(found.hits[i].size(), 20u);
    for (std::size_t j = 0; j < 20; ++j) EXPECT_EQ(found.hits[i][j].id, truth.hits[i][j].id);
  }
}

TEST_P(ContractTest, AllKeysForKBeyondTheirNumber) {
  const auto set = testing::ood_set(90, 16, 64, 7);
  const auto index = build(set.keys.view(), set.train.view());
  const double reachable = index->build_stats().reachable_frac * 90;
  // In a graph that is not connected it depends on where the upper layers lead hnswlib.
  const double slack = reachable < 90 && GetParam().starts_with("hnswlib") ? 90 - reachable : 0.5;
  for (const int k : {90, 91, 1000})
    for (const auto& hits : testing::search(*index, set.test.view(), k, kFull).hits)
      EXPECT_NEAR(static_cast<double>(hits.size()), reachable, slack) << "k = " << k;
}

// Copies of keys, and what else there is; of a graph with every link it may have.
TEST_P(ContractTest, TakesWhatAPlanExpects) {
  const auto set = testing::ood_set(3000, 24, 300, 17);
  Matrix<bf16> stored(set.keys.rows(), set.keys.cols());
  Matrix<float> rounded(set.keys.rows(), set.keys.cols());
  for (std::size_t i = 0; i < set.keys.rows() * set.keys.cols(); ++i) {
    stored.data()[i] = to_bf16(set.keys.data()[i]);
    rounded.data()[i] = to_float(stored.data()[i]);
  }
  const IndexSpec spec = testing::spec_of(GetParam());
  const auto heads = [&](std::size_t n) { return std::vector<QuerySet>(n, {set.train.view()}); };
  const struct {
    KeyShape shape;
    BuildInput in;
  } cases[] = {
      {{.keys = 3000, .dim = 24}, {.keys = set.keys.view(), .train = heads(1)}},
      {{.keys = 3000, .dim = 24, .heads = 3, .stored = true, .bf16 = true},
       {.keys = rounded.view(),
        .train = heads(3),
        .stored = {stored.data(), kernels::KvType::kBf16, 24}}},
  };
  for (const auto& c : cases) {
    const auto index = build_index(spec, c.in);
    const auto planned = static_cast<double>(index_bytes(spec, c.shape)),
               taken = static_cast<double>(index->memory_bytes());
    // Upper layers of HNSW are a matter of luck.
    EXPECT_LE(taken, planned * (GetParam().starts_with("hnsw") ? 1.02 : 1));
    EXPECT_GE(taken, planned * (index->build_stats().degree_max > 0 ? 0.3 : 0.85))
        << taken << " of " << planned;
  }
}

TEST_P(ContractTest, OneKey) {
  const auto set = testing::ood_set(1, 16, 8, 9);
  const auto index = build(set.keys.view(), set.train.view());
  const auto found = testing::search(*index, set.test.view(), 5, 3);
  for (const auto& hits : found.hits) {
    ASSERT_EQ(hits.size(), 1u);
    EXPECT_EQ(hits[0].id, 0u);
  }
}

TEST_P(ContractTest, TwoKeysAndOneQuery) {
  const auto set = testing::ood_set(2, 5, 1, 9);
  const auto index = build(set.keys.view(), set.train.view());
  for (const auto& hits : testing::search(*index, set.test.view(), 5, kFull).hits)
    EXPECT_EQ(static_cast<double>(hits.size()), 2 * index->build_stats().reachable_frac);
}

TEST_P(ContractTest, DuplicateAndConstantKeys) {
  auto set = testing::ood_set(300, 16, 100, 11);
  for (std::size_t i = 100; i < 300; ++i) std::copy_n(set.keys.row(i % 100), 16, set.keys.row(i));
  auto index = build(set.keys.view(), set.train.view());
  expect_well_formed(*index, set.keys.view(), set.test.view(),
                     testing::search(*index, set.test.view(), 10, 40), 10);
  for (std::size_t i = 0; i < 300; ++i) std::fill_n(set.keys.row(i), 16, 0.5f);
  index = build(set.keys.view(), set.train.view());
  const auto found = testing::search(*index, set.test.view(), 10, kFull);
  expect_well_formed(*index, set.keys.view(), set.test.view(), found, 10);
  if (index->build_stats().reachable_frac < 1) return;
  for (const auto& hits : found.hits) {
    for (std::size_t j = 0; j < hits.size(); ++j) EXPECT_EQ(hits[j].id, j) << "ties by id";
  }
}

TEST_P(ContractTest, ZeroKeysAndZeroQueries) {
  Matrix<float> keys(50, 8), train(20, 8), test(3, 8);
  const auto index = build(keys.view(), train.view());
  for (const auto& hits : testing::search(*index, test.view(), 4, kFull).hits)
    for (const Hit& hit : hits) EXPECT_EQ(hit.score, 0);
}

TEST_P(ContractTest, SameIndexForAnyNumberOfThreads) {
  const auto set = testing::ood_set(500, 16, 250, 13);
  std::vector<Found> found;
  for (const int threads : {1, 2, 5}) {
    set_threads(threads);
    const auto index = build(set.keys.view(), set.train.view());
    found.push_back(testing::search(*index, set.test.view(), 10, 12));
  }
  set_threads(0);
  for (const Found& other : found) {
    EXPECT_EQ(other.stats.distances, found[0].stats.distances);
    for (std::size_t i = 0; i < other.hits.size(); ++i) {
      ASSERT_EQ(other.hits[i].size(), found[0].hits[i].size());
      for (std::size_t j = 0; j < other.hits[i].size(); ++j)
        EXPECT_EQ(other.hits[i][j].id, found[0].hits[i][j].id);
    }
  }
}

TEST_P(ContractTest, SearchesRunSideBySide) {
  const auto set = testing::ood_set(400, 16, 200, 15);
  const auto index = build(set.keys.view(), set.train.view());
  const Found alone = testing::search(*index, set.test.view(), 10, 20);
  std::vector<Found> found(4);
  {
    std::vector<std::jthread> threads;
    for (auto& f : found)
      threads.emplace_back([&] { f = testing::search(*index, set.test.view(), 10, 20); });
  }
  for (const Found& f : found) {
    EXPECT_EQ(f.stats.distances, alone.stats.distances);
    for (std::size_t i = 0; i < f.hits.size(); ++i)
      EXPECT_TRUE(std::equal(
          f.hits[i].begin(), f.hits[i].end(), alone.hits[i].begin(), alone.hits[i].end(),
          [](const Hit& a, const Hit& b) { return a.id == b.id && a.score == b.score; }));
  }
}

// What one query of a group finds may serve the others too.
TEST_P(ContractTest, AGroupOfQueriesGivesTheHitsOfEachOrBetterOnes) {
  const auto set = testing::ood_set(300, 16, 150, 17);
  const auto index = build(set.keys.view(), set.train.view());
  const auto each = testing::search(*index, set.test.view(), 10, 20);
  std::vector<std::vector<Hit>> hits(7);
  const auto scratch = index->make_scratch();
  const auto stats =
      index->search(set.test.view().row_range(0, 7), {.k = 10, .effort = 20}, *scratch, hits);
  EXPECT_GT(stats.distances, 0);
  for (std::size_t i = 0; i < 7; ++i) {
    ASSERT_EQ(hits[i].size(), each.hits[i].size());
    for (std::size_t j = 0; j < hits[i].size(); ++j)
      EXPECT_GE(hits[i][j].score, each.hits[i][j].score);
  }
}

// Of one query, of a few and of many, which types may treat apart.
TEST_P(ContractTest, AShortlistHoldsTheHitsOfEachQueryOnce) {
  const auto set = testing::ood_set(300, 16, 150, 23);
  const auto index = build(set.keys.view(), set.train.view());
  const SearchParams params{.k = 20, .effort = kFull};
  for (const std::size_t rows : {1u, 3u, 7u, 30u}) {
    SCOPED_TRACE(rows);
    const auto queries = set.test.view().row_range(0, rows);
    std::vector<std::vector<Hit>> hits(rows);
    index->search(queries, params, *index->make_scratch(), hits);
    Shortlist list{{9999}, {}};
    const auto stats = index->shortlist(queries, params, *index->make_scratch(), list);
    const auto& ids = list.ids;
    const std::set<std::uint32_t> once(ids.begin(), ids.end());
    ASSERT_EQ(once.size(), ids.size());
    ASSERT_LT(*once.rbegin(), 300u);
    std::size_t held = 0, all = 0;
    for (const auto& of_row : hits) {
      all += of_row.size();
      for (const Hit& hit : of_row) held += once.count(hit.id);
    }
    EXPECT_GE(20 * held, 19 * all);  // what is chosen by codes may lack a few
    ASSERT_EQ(list.floors.size(), rows);
    EXPECT_GE(stats.distances, static_cast<std::int64_t>(rows * ids.size()));
    EXPECT_GT(stats.bytes, 0);
  }
}

TEST_P(ContractTest, RowsMayBeStrided) {
  const auto set = testing::ood_set(300, 16, 100, 19);
  Matrix<float> wide_keys(300, 40), wide_train(100, 19);
  for (std::size_t i = 0; i < 300; ++i) std::copy_n(set.keys.row(i), 16, wide_keys.row(i));
  for (std::size_t i = 0; i < 100; ++i) std::copy_n(set.train.row(i), 16, wide_train.row(i));
  const auto packed = build(set.keys.view(), set.train.view());
  const auto strided = build({wide_keys.data(), 300, 16, 40}, {wide_train.data(), 100, 16, 19});
  const auto a = testing::search(*packed, set.test.view(), 10, 20);
  const auto b = testing::search(*strided, set.test.view(), 10, 20);
  EXPECT_EQ(a.stats.distances, b.stats.distances);
  for (std::size_t i = 0; i < a.hits.size(); ++i)
    for (std::size_t j = 0; j < a.hits[i].size(); ++j) EXPECT_EQ(a.hits[i][j].id, b.hits[i][j].id);
}

TEST_P(ContractTest, AnIndexMadeFromItsStateIsTheSame) {
  const IndexSpec spec = testing::spec_of(GetParam());
  if (spec.type->restore == nullptr) GTEST_SKIP() << spec.type->name << " cannot be saved";
  const auto set = testing::ood_set(300, 16, 150, 21);
  const auto index = build(set.keys.view(), set.train.view());
  IndexState state;
  state.stats = index->build_stats();
  index->save(state);
  const auto again = restore_index(spec, {.keys = set.keys.view(), .train = {}}, state);
  EXPECT_EQ(again->memory_bytes(), index->memory_bytes());
  EXPECT_EQ(again->build_stats().key_bytes, index->build_stats().key_bytes);
  EXPECT_EQ(again->build_stats().degree_mean, index->build_stats().degree_mean);
  EXPECT_EQ(again->build_stats().reachable_frac, index->build_stats().reachable_frac);
  for (const int effort : {0, 3, 40}) {
    const Found a = testing::search(*index, set.test.view(), 10, effort);
    const Found b = testing::search(*again, set.test.view(), 10, effort);
    EXPECT_EQ(a.stats.distances, b.stats.distances);
    EXPECT_EQ(a.stats.hops, b.stats.hops);
    for (std::size_t i = 0; i < a.hits.size(); ++i)
      EXPECT_TRUE(std::ranges::equal(a.hits[i], b.hits[i], [](const Hit& x, const Hit& y) {
        return x.id == y.id && x.score == y.score;
      }));
  }
}

TEST_P(ContractTest, AStateThatIsNotOfTheseKeysIsRefused) {
  const IndexSpec spec = testing::spec_of(GetParam());
  if (spec.type->restore == nullptr) GTEST_SKIP() << spec.type->name << " cannot be saved";
  const auto set = testing::ood_set(300, 16, 150, 23);
  IndexState good;
  build(set.keys.view(), set.train.view())->save(good);
  const auto expect_refused = [&](const IndexState& state, const std::string& what) {
    try {
      (void)restore_index(spec, {.keys = set.keys.view(), .train = {}}, state);
      ADD_FAILURE() << what << " was taken";
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), Exit::kBadData) << what;
    }
  };
  for (const auto& [name, values] : good.arrays) {
    IndexState bad = good;
    bad.arrays.erase(name);
    expect_refused(bad, name + " missing");
    bad.arrays[name] = {};
    expect_refused(bad, name + " empty");
    bad.arrays[name] = values;
    bad.arrays[name].back() = 1u << 31;
    expect_refused(bad, name + " with a number of no key");
  }
}

// Of types that can grow: keys in pieces, the later ones without training queries.
class GrowthTest : public ContractTest {
 protected:
  static constexpr std::size_t kPieces[] = {200, 1, 99, 2};  // 302 keys
  std::unique_ptr<VectorIndex> grow(const testing::OodSet& set, std::size_t pieces) const {
    std::unique_ptr<VectorIndex> index;
    for (std::size_t i = 0, first = 0; i < pieces; first += kPieces[i++]) {
      BuildInput in{.keys = set.keys.view().row_range(first, kPieces[i]), .train = {}, .seed = 1};
      if (i == 0) {
        in.train = {{set.train.view(), {}}};
        index = build_index(spec_, in);
      } else {
        append_keys(spec_, *index, in);
      }
    }
    return index;
  }
  static void expect_equal(const Found& a, const Found& b) {
    EXPECT_EQ(a.stats.distances, b.stats.distances);
    EXPECT_EQ(a.stats.bytes, b.stats.bytes);
    for (std::size_t i = 0; i < a.hits.size(); ++i)
      EXPECT_TRUE(std::ranges::equal(a.hits[i], b.hits[i], [](const Hit& x, const Hit& y) {
        return x.id == y.id && x.score == y.score;
      }));
  }

  const IndexSpec spec_ = testing::spec_of(GetParam());
};

std::vector<std::string> growing_specs() {
  auto specs = all_specs();
  std::erase_if(specs, [](const auto& text) { return testing::spec_of(text).segment == 0; });
  return specs;
}

TEST_P(GrowthTest, AppendedKeysAreFoundAndFullEffortIsExact) {
  const auto set = testing::ood_set(302, 16, 150, 25);
  const auto index = grow(set, 4);
  for (const int effort : {1, 5, kFull})
    expect_well_formed(*index, set.keys.view(), set.test.view(),
                       testing::search(*index, set.test.view(), 10, effort), 10);
  const auto found = testing::search(*index, set.test.view(), 302, kFull);
  for (std::size_t i = 0; i < found.hits.size(); ++i) {
    const auto truth = testing::exact(set.keys.view(), set.test.row(i), 302);
    ASSERT_EQ(found.hits[i].size(), 302u);
    for (std::size_t j = 0; j < 20; ++j) EXPECT_EQ(found.hits[i][j].id, truth[j].id);
  }
}

TEST_P(GrowthTest, TheSameForAnyNumberOfThreadsAndAnyScratch) {
  const auto set = testing::ood_set(302, 16, 150, 27);
  std::vector<Found> found;
  for (const int threads : {1, 3}) {
    set_threads(threads);
    found.push_back(testing::search(*grow(set, 4), set.test.view(), 10, 5));
  }
  set_threads(0);
  expect_equal(found[0], found[1]);
  const auto index = grow(set, 1);
  const auto scratch = index->make_scratch();
  std::vector<std::vector<Hit>> hits(1);
  const auto query = set.test.view().row_range(0, 1);
  (void)index->search(query, {.k = 10, .effort = 5}, *scratch, hits);
  append_keys(spec_, *index, {.keys = set.keys.view().row_range(200, 1), .train = {}});
  append_keys(spec_, *index, {.keys = set.keys.view().row_range(201, 99), .train = {}});
  append_keys(spec_, *index, {.keys = set.keys.view().row_range(300, 2), .train = {}});
  (void)index->search(query, {.k = 10, .effort = 5}, *scratch, hits);
  ASSERT_EQ(hits[0].size(), found[0].hits[0].size());
  for (std::size_t j = 0; j < hits[0].size(); ++j) EXPECT_EQ(hits[0][j].id, found[0].hits[0][j].id);
}

TEST_P(GrowthTest, ShrinkTakesAppendedKeysBack) {
  const auto set = testing::ood_set(302, 16, 150, 29);
  const auto index = grow(set, 4);
  index->shrink(201);
  EXPECT_EQ(index->memory_bytes(), grow(set, 2)->memory_bytes());
  expect_equal(testing::search(*index, set.test.view(), 10, 5),
               testing::search(*grow(set, 2), set.test.view(), 10, 5));
}

TEST_P(GrowthTest, AGrownIndexMadeFromItsStateIsTheSame) {
  const auto set = testing::ood_set(302, 16, 150, 31);
  const auto index = grow(set, 4);
  IndexState state;
  index->save(state);
  const auto again = restore_index(spec_, {.keys = set.keys.view(), .train = {}}, state);
  expect_equal(testing::search(*index, set.test.view(), 10, 5),
               testing::search(*again, set.test.view(), 10, 5));
  // And both grow on alike.
  const auto more = testing::ood_set(80, 16, 10, 33);
  for (VectorIndex* i : {index.get(), again.get()})
    append_keys(spec_, *i, {.keys = more.keys.view(), .train = {}});
  expect_equal(testing::search(*index, set.test.view(), 10, 5),
               testing::search(*again, set.test.view(), 10, 5));
}

TEST_P(GrowthTest, KeysThatAreNotFiniteAreRefused) {
  auto set = testing::ood_set(302, 16, 150, 35);
  const auto index = grow(set, 1);
  for (const float bad : {std::nanf(""), INFINITY}) {
    set.keys.row(210)[3] = bad;
    try {
      append_keys(spec_, *index, {.keys = set.keys.view().row_range(200, 20), .train = {}});
      ADD_FAILURE() << bad << " was taken";
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), Exit::kBadData);
      EXPECT_EQ(e.text().where, "key row 10 element 3");
    }
  }
  EXPECT_EQ(testing::search(*index, set.test.view(), 300, kFull).hits[0].size(), 200u);
}

std::string test_name(const ::testing::TestParamInfo<std::string>& param) {
  std::string name = param.param;
  for (char& c : name)
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  return name;
}

INSTANTIATE_TEST_SUITE_P(Registry, GrowthTest, ::testing::ValuesIn(growing_specs()), test_name);
INSTANTIATE_TEST_SUITE_P(Registry, ContractTest, ::testing::ValuesIn(all_specs()), test_name);

}  // namespace
}  // namespace ra::index
