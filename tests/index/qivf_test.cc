// SPDX-License-Identifier: Apache-2.0
#include "lib/index/qivf.h"

#include <gtest/gtest.h>

#include <set>
#include <utility>

#include "lib/index/cell_segment.h"
#include "tests/index/synthetic.h"

namespace ra::index {
namespace {

class QivfTest : public ::testing::TestWithParam<const char*> {
 protected:
  const testing::OodSet set_ = testing::ood_set(4000, 32, 800, 1);
  std::unique_ptr<VectorIndex> build(const std::string& more = "") const {
    return testing::build(std::string(GetParam()) + more, set_.keys.view(), set_.train.view());
  }
  double recall(const testing::Found& found) const {
    return testing::recall(set_.keys.view(), set_.test.view(), found, 20);
  }
};

TEST_P(QivfTest, FindsMostWithLittleAndMoreWithMore) {
  const auto index = build();
  const auto some = testing::search(*index, set_.test.view(), 20, 60);
  const auto many = testing::search(*index, set_.test.view(), 20, 200);
  EXPECT_GT(recall(some), 0.85);
  EXPECT_LT(some.stats.distances, 50 * 4000 / 2);
  EXPECT_GT(recall(many), recall(some));
  EXPECT_GT(many.stats.distances, some.stats.distances);
  EXPECT_EQ(some.stats.hops, 50 * 60);
}

TEST_P(QivfTest, AGroupReadsWhatItsHeadsShareOnce) {
  const auto index = build();
  Matrix<float> twice(2, 32);
  for (std::size_t r = 0; r < 2; ++r) std::copy_n(set_.test.row(0), 32, twice.row(r));
  std::vector<std::vector<Hit>> hits(2);
  const auto scratch = index->make_scratch();
  const SearchParams params{.k = 10, .effort = 20};
  const auto one = index->search(twice.view().row_range(0, 1), params, *scratch, hits);
  const auto two = index->search(twice.view(), params, *scratch, hits);
  EXPECT_EQ(two.distances, 2 * one.distances);
  EXPECT_EQ(two.coded, 2 * one.coded);
  EXPECT_LT(two.bytes, 2 * one.bytes);
}

// A shortlist by share of more heads than probe together is that of its parts.
TEST(QivfShare, ManyHeadsAskInTurn) {
  const auto set = testing::ood_set(4000, 32, 800, 1);
  const auto index = testing::build("qivf", set.keys.view(), set.train.view());
  const auto scratch = index->make_scratch();
  const std::vector<float> held(40, 1.0f);
  const auto ask = [&](std::size_t first, std::size_t count, Shortlist& list) {
    const AttentionShare share{
        .least = 0.002f, .scale = 0.2f, .held = std::span(held).first(count)};
    return index->shortlist(set.test.view().row_range(first, count), {.share = &share}, *scratch,
                            list);
  };
  Shortlist all, part;
  const SearchStats stats = ask(0, 40, all);
  std::set<std::uint32_t> expected;
  std::vector<float> floors;
  std::int64_t coded = 0;
  for (const auto& [first, count] : {std::pair{0u, 16u}, {16u, 16u}, {32u, 8u}}) {
    coded += ask(first, count, part).coded;
    expected.insert(part.ids.begin(), part.ids.end());
    floors.insert(floors.end(), part.floors.begin(), part.floors.end());
  }
  EXPECT_GT(expected.size(), 100u);
  EXPECT_EQ(all.ids, std::vector<std::uint32_t>(expected.begin(), expected.end()));
  EXPECT_EQ(all.floors, floors);
  EXPECT_EQ(stats.coded, coded);
  EXPECT_EQ(stats.distances, coded + static_cast<std::int64_t>(40 * expected.size()));
}

TEST_P(QivfTest, SegmentsAreLearntAloneByTheQueriesOfTheirPositions) {
  // Pieces with the training queries of their positions make the index that all at once makes.
  const auto whole = build(",segment=1000");
  const IndexSpec spec = testing::spec_of(std::string(GetParam()) + ",segment=1000");
  EXPECT_EQ(spec.segment, 1000u);
  std::unique_ptr<VectorIndex> pieces;
  for (std::size_t i = 0; i < 4; ++i) {
    const BuildInput in{.keys = set_.keys.view().row_range(1000 * i, 1000),
                        .train = {{set_.train.view().row_range(200 * i, 200), {}}},
                        .seed = 1};
    if (i == 0) {
      pieces = build_index(spec, in);
    } else {
      append_keys(spec, *pieces, in);
    }
  }
  IndexState a, b;
  whole->save(a);
  pieces->save(b);
  EXPECT_EQ(a.arrays, b.arrays);
  EXPECT_EQ(a.array("segments"), std::vector<std::uint32_t>(4, 1000));
}

// A long index has few segments: four, then others four times and eight times as large.
TEST_P(QivfTest, LaterSegmentsAreLarger) {
  IndexState state;
  build(",segment=100")->save(state);
  EXPECT_EQ(state.array("segments"),
            (std::vector<std::uint32_t>{100, 100, 100, 100, 400, 400, 400, 800, 800, 800}));
  const IndexSpec spec = testing::spec_of(std::string(GetParam()) + ",segment=60000");
  EXPECT_EQ(spec.piece(0), 60000u);
  EXPECT_EQ(spec.piece(240000), kMostSegmentKeys);
}

TEST_P(QivfTest, AMomentStandsForItsQueries) {
  const auto& rows = set_.train;
  Matrix<float> moment(32, 32);
  for (std::size_t i = 0; i < rows.rows(); ++i)
    for (std::size_t a = 0; a < 32; ++a)
      for (std::size_t b = 0; b < 32; ++b)
        moment.row(a)[b] += rows.row(i)[a] * rows.row(i)[b] / static_cast<float>(rows.rows());
  const IndexSpec spec = testing::spec_of(GetParam());
  const auto by_moment =
      build_index(spec, {.keys = set_.keys.view(), .train = {{{}, moment.view()}}, .seed = 1});
  const double want = recall(testing::search(*build(), set_.test.view(), 20, 60));
  EXPECT_NEAR(recall(testing::search(*by_moment, set_.test.view(), 20, 60)), want, 0.02);
}

TEST_P(QivfTest, StoredKeysAreNotCopied) {
  Matrix<bf16> stored(4000, 32);
  std::transform(set_.keys.data(), set_.keys.data() + 4000 * 32, stored.data(),
                 [](float v) { return to_bf16(v); });
  Matrix<float> keys(4000, 32);
  std::transform(stored.data(), stored.data() + 4000 * 32, keys.data(),
                 [](bf16 v) { return to_float(v); });
  const IndexSpec spec = testing::spec_of(GetParam());
  BuildInput in{.keys = keys.view(), .train = {{set_.train.view(), {}}}, .seed = 1};
  const auto copied = build_index(spec, in);
  in.stored = {stored.data(), kernels::KvType::kBf16, 32};
  const auto viewed = build_index(spec, in);
  EXPECT_EQ(viewed->build_stats().key_bytes, 0);
  EXPECT_EQ(copied->memory_bytes() - viewed->memory_bytes(), 4000u * 32 * 2);
  const auto a = testing::search(*copied, set_.test.view(), 20, 60);
  const auto b = testing::search(*viewed, set_.test.view(), 20, 60);
  EXPECT_EQ(a.stats.bytes, b.stats.bytes);
  for (std::size_t i = 0; i < a.hits.size(); ++i)
    EXPECT_TRUE(std::ranges::equal(a.hits[i], b.hits[i], [](const Hit& x, const Hit& y) {
      return x.id == y.id && x.score == y.score;
    }));
}

TEST_P(QivfTest, KeysInBf16AreStoredInTwoBytes) {
  Matrix<float> narrow(4000, 32);
  for (std::size_t i = 0; i < 4000 * 32; ++i)
    narrow.data()[i] = to_float(to_bf16(set_.keys.data()[i]));
  const auto index = testing::build(GetParam(), narrow.view(), set_.train.view());
  EXPECT_EQ(index->build_stats().key_bytes, 4000 * 32 * 2);
  EXPECT_EQ(build()->build_stats().key_bytes, 4000 * 32 * 4);
}

INSTANTIATE_TEST_SUITE_P(Lists, QivfTest,
                         ::testing::Values("qivf:codes=none", "qivf:lists=1000,rerank=100"),
                         [](const auto& p) { return p.index == 0 ? "exact" : "codes"; });

TEST(QivfMetricTest, RawCellsNeedNoQueriesAndFindLess) {
  const auto set = testing::ood_set(4000, 32, 800, 1);
  const char* raw = "qivf:metric=raw,lists=500,rerank=4000";
  EXPECT_FALSE(testing::spec_of(raw).needs_queries);
  EXPECT_TRUE(testing::spec_of("qivf").needs_queries);
  const auto recall = [&](const std::string& spec, const Matrix<float>& train) {
    const auto index = testing::build(spec, set.keys.view(), train.view());
    return testing::recall(set.keys.view(), set.test.view(),
                           testing::search(*index, set.test.view(), 20, 30), 20);
  };
  const double without = recall(raw, Matrix<float>());
  EXPECT_EQ(without, recall(raw, set.train));
  EXPECT_LT(without + 0.05, recall("qivf:lists=500,rerank=4000", set.train));
}

TEST(QivfProbesTest, FollowTheRootOfTheListsUpTo128UnlessGiven) {
  const auto set = testing::ood_set(5000, 32, 800, 1);
  const auto hops = [&](const std::string& spec) {
    const auto index = testing::build(spec, set.keys.view(), set.train.view());
    return testing::search(*index, set.test.view(), 20, 0).stats.hops;
  };
  EXPECT_EQ(hops("qivf:segment=5000,lists=400"), 50 * 40);
  EXPECT_EQ(hops("qivf:segment=5000,lists=100"), 50 * 20);
  EXPECT_EQ(hops("qivf:segment=5000,lists=5000"), 50 * 128);
  EXPECT_EQ(hops("qivf:segment=5000,lists=5000,probes=200"), 50 * 200);
  EXPECT_EQ(hops("qivf:segment=5000,lists=400,probes=7"), 50 * 7);
}

TEST(QivfCodesTest, MostProductsAreOnCodes) {
  const auto set = testing::ood_set(4000, 32, 800, 1);
  for (const char* bits : {"4", "8"}) {
    const auto index =
        testing::build(std::string("qivf:lists=1000,rerank=100,open=2,codes=") + bits,
                       set.keys.view(), set.train.view());
    const auto found = testing::search(*index, set.test.view(), 20, 100);
    EXPECT_GT(found.stats.coded, 50 * 800);
    EXPECT_LT(found.stats.distances - found.stats.coded, 50 * (100 + 64));
    EXPECT_GT(testing::recall(set.keys.view(), set.test.view(), found, 20), 0.85) << bits;
  }
}

// 4 bits a coordinate, 2 bytes of order, and a 32nd of a cell's code.
TEST(QivfCodesTest, TakesThirtyPerCentOfKeysInBf16) {
  const auto set = testing::ood_set(16384, 64, 256, 2);
  const Matrix<bf16> stored(16384, 64);
  const auto index = build_index(testing::spec_of("qivf:iterations=0"),
                                 {.keys = set.keys.view(),
                                  .train = {{set.train.view(), {}}},
                                  .seed = 1,
                                  .stored = {stored.data(), kernels::KvType::kBf16, 64}});
  EXPECT_LE(index->memory_bytes(), 16384u * 128 * 30 / 100);
}

}  // namespace
}  // namespace ra::index
