// SPDX-License-Identifier: Apache-2.0
#include "lib/attention/sparse.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <utility>

#include "lib/core/parallel.h"
#include "tests/attention/sparse_scene.h"
#include "tests/support/random.h"

namespace ra::attention {
namespace {

TEST_F(SparseTest, WithEverythingRetrievedEqualsFullAttention) {
  const Matrix<float> q = random_matrix(1, 96, 5);
  model::ExactAttention exact;
  const Matrix<float> full = run(exact, q);
  // ivf with as many probes as lists reads every list.
  for (const char* spec : {"flat", "ivf:lists=8,metric=query", "ivf:lists=8,share=head"}) {
    SparseAttention all = make(with_index(spec, kPrompt, 8));
    EXPECT_LE(relative_l2(full, run(all, q)), 1e-5) << spec;
  }
}

// Attends to the static set as SparseAttention would; notes that it was begun before it was
// awaited.
class OtherHands : public StaticSource {
 public:
  void start(const model::AttendInput& in, std::int64_t sink, std::int64_t window) override {
    begun_ = true;
    in_ = in;
    ranges_ = {{{0, sink}, {window, in.pos + 1}}};
  }
  double finish(std::span<kernels::Partial> heads) override {
    EXPECT_TRUE(std::exchange(begun_, false));
    for (std::size_t h = 0; h < heads.size(); ++h)
      for (const auto& [begin, end] : ranges_)
        kernels::attend_partial<kernels::Level::kScalar>(
            {.q = in_.q.row(0) + h * 16,
             .q_stride = 16,
             .group = 1,
             .kv = in_.cache->rows(in_.layer, static_cast<int>(h / 3)),
             .first = static_cast<std::size_t>(begin),
             .n = static_cast<std::size_t>(end - begin),
             .scale = in_.scale,
             .out = &heads[h]});
    return 1e6;  // longer than the step itself
  }

 private:
  bool begun_ = false;
  model::AttendInput in_;
  std::array<std::pair<std::int64_t, std::int64_t>, 2> ranges_;
};

TEST_F(SparseTest, TheStaticSetMayBeAttendedByOthers) {
  const Matrix<float> q = random_matrix(1, 96, 5);
  for (const bool sequential : {false, true})
    for (const double top_p : {1.0, 0.5}) {
      SparseOptions options = with_index("flat", 10);
      options.sequential = sequential;
      options.cut.top_p = top_p;
      SparseAttention own = make(options), shared = make(options);
      OtherHands others;
      shared.set_static_source(&others);
      const Matrix<float> want = run(own, q);
      const model::AttendStats own_stats = stats_;
      const Matrix<float> got = run(shared, q);
      for (std::size_t i = 0; i < 96; ++i) ASSERT_NEAR(got.data()[i], want.data()[i], 5e-6);
      EXPECT_EQ(stats_.bytes, own_stats.bytes);
      EXPECT_EQ(stats_.distances, own_stats.distances);
      EXPECT_EQ(stats_.static_busy_ms, 1e6);
      EXPECT_LT(stats_.overlap_ms, 1e6);  // of the wall, not of what the others say
    }
}

TEST_F(SparseTest, LayersWithAWindowAreExactAndHaveNoIndex) {
  AttentionShape shape = kShape;
  shape.windowed = {true, false};
  SparseAttention knn(shape, with_index("flat", 20));
  int built = 0;
  knn.build(cache_, training, 1, [&](int done) { built = done; });
  EXPECT_EQ(built, 2);  // KV heads of layer 1
  EXPECT_EQ(knn.index_count(), 2);
  const Matrix<float> q = random_matrix(1, 96, 6);
  SparseAttention all_layers = make(with_index("flat", 20));
  EXPECT_EQ(relative_l2(run(all_layers, q), run(knn, q)), 0);
  model::ExactAttention exact;
  Matrix<float> want(1, 96), got(1, 96);
  const model::AttendInput in{.layer = 0,
                              .pos = kPrompt - 1,
                              .q = q.view(),
                              .cache = &cache_,
                              .scale = 0.25f,
                              .window = 40};
  exact.attend(in, want.view());
  EXPECT_EQ(knn.attend(in, got.view()).distances, 0);
  EXPECT_EQ(relative_l2(want, got), 0);
}

TEST_F(SparseTest, EqualsAttentionOverTheStaticAndTheRetrievedKeys) {
  const Matrix<float> q = random_matrix(1, 96, 6);
  SparseAttention knn = make(with_index("flat", 20));
  const Matrix<float> out = run(knn, q);
  for (int h = 0; h < kShape.heads; ++h) {
    const auto found = knn.last_retrieved()[static_cast<std::size_t>(h)];
    ASSERT_EQ(found.size(), 20u);
    std::set<std::int64_t> keys(found.begin(), found.end());
    EXPECT_EQ(keys.size(), 20u);
    EXPECT_GE(*keys.begin(), 16);             // disjoint from the sink
    EXPECT_LT(*keys.rbegin(), kPrompt - 64);  // and from the window
    expect_attention_over(q, h, keys, out);
  }
}

// A cut of k keys gives what that many keys give, and what it leaves out is not read.
TEST_F(SparseTest, ACutOfTheHitsIsASmallerK) {
  const Matrix<float> q = random_matrix(1, 96, 6);
  SparseOptions o = with_index("flat", 200);
  SparseAttention whole = make(o);
  const Matrix<float> uncut = run(whole, q);
  const auto all = whole.last_retrieved();
  const auto bytes = stats_.bytes;
  EXPECT_EQ(stats_.attended_keys, 200 * kShape.heads);
  for (const HitCut cut : {HitCut{.top_p = 0.9}, HitCut{.range = 1.5}, HitCut{.top_p = 0.01}}) {
    o.cut = cut;
    SparseAttention policy = make(o);
    const Matrix<float> out = run(policy, q);
    std::int64_t kept = 0;
    for (int h = 0; h < kShape.heads; ++h) {
      const auto& before = all[static_cast<std::size_t>(h)];
      const auto ids = policy.last_retrieved()[static_cast<std::size_t>(h)];
      ASSERT_LT(ids.size(), before.size());
      EXPECT_TRUE(std::equal(ids.begin(), ids.end(), before.begin())) << "the best";
      kept += std::ssize(ids);
      expect_attention_over(q, h, {ids.begin(), ids.end()}, out);
    }
    EXPECT_EQ(stats_.attended_keys, kept);
    EXPECT_EQ(bytes - stats_.bytes, (200 * kShape.heads - kept) * (16 + 16) * 2);
    EXPECT_EQ(kept == 0, cut.top_p == 0.01);
  }
  o.cut = {.top_p = 1, .range = 1e9};
  SparseAttention policy = make(o);
  const Matrix<float> out = run(policy, q);
  EXPECT_EQ(policy.last_retrieved(), all);
  EXPECT_EQ(relative_l2(uncut, out), 0);
}

TEST_F(SparseTest, TokensAfterTheBuildAreAttendedToo) {
  const Matrix<float> q = random_matrix(1, 96, 8);
  SparseAttention knn = make(with_index("flat", kPrompt));
  append(5, 2);
  model::ExactAttention exact;
  EXPECT_LE(relative_l2(run(exact, q), run(knn, q)), 1e-5);
  EXPECT_EQ(knn.indexed_end(), kPrompt - 64);
}

// Keys that left the window compete with those of the index, whether they wait in the buffer, are
// scanned there for ever, or have entered the index.
TEST_F(SparseTest, KeysThatLeaveTheWindowAreRetrieved) {
  constexpr std::int64_t kNew = 500;
  for (const char* spec : {"flat", "roar:metric=query", "qivf:segment=256,probes=100000"}) {
    for (const int flush : {0, 100, 1024}) {
      SCOPED_TRACE(std::string(spec) + " flush " + std::to_string(flush));
      cache_.truncate(kPrompt);
      SparseOptions o = with_index(spec, 20, 1 << 20);
      o.flush = flush;
      SparseAttention policy = make(o);
      for (std::int64_t t = 0; t < kNew; t += 50) {
        append(50, 3 + static_cast<std::uint64_t>(t));
        run(policy, random_matrix(1, 96, 5));
      }
      const std::int64_t outside = kPrompt + kNew - 1 - 16 - 64;
      EXPECT_EQ(stats_.indexed_keys, outside * kShape.heads);
      if (*spec == 'f') {
        EXPECT_EQ(stats_.distances, outside * kShape.heads) << "all are scored once";
      }
      const auto found = policy.last_retrieved();
      std::int64_t fresh = 0;
      for (int h = 0; h < kShape.heads; ++h) {
        // The 20 best of all keys outside the static set, by plain arithmetic.
        const auto rows = cache_.rows(1, h / 3);
        const auto* k = static_cast<const bf16*>(rows.k);
        const Matrix<float> q = random_matrix(1, 96, 5);
        std::vector<std::pair<float, std::uint32_t>> all;
        for (std::int64_t p = 16; p < kPrompt + kNew - 1 - 64; ++p) {
          float dot = 0;
          for (std::size_t d = 0; d < 16; ++d)
            dot += q.row(0)[static_cast<std::size_t>(h) * 16 + d] *
                   to_float(k[static_cast<std::size_t>(p) * 16 + d]);
          all.emplace_back(-dot, static_cast<std::uint32_t>(p));
        }
        std::sort(all.begin(), all.end());
        const auto& ids = found[static_cast<std::size_t>(h)];
        ASSERT_EQ(ids.size(), 20u);
        std::set<std::uint32_t> got(ids.begin(), ids.end()), want;
        for (std::size_t i = 0; i < 20; ++i) want.insert(all[i].second);
        if (*spec != 'r') {  // a graph may miss some
          EXPECT_EQ(got, want) << "head " << h;
        }
        fresh += std::count_if(got.begin(), got.end(), [](auto id) { return id >= kPrompt - 64; });
      }
      EXPECT_GT(fresh, 10);
    }
  }
}

TEST_F(SparseTest, AContinuationThatIsDecodedAgainIsTheSame) {
  SparseOptions o = with_index("qivf:segment=256", 20, 12);
  o.flush = 100;
  const auto decode = [&](SparseAttention& policy, std::uint64_t seed, int steps) {
    cache_.truncate(kPrompt);
    std::vector<float> outs;
    for (int t = 0; t < steps; ++t) {
      append(1, seed + static_cast<std::uint64_t>(t));
      const Matrix<float> out = run(policy, random_matrix(1, 96, seed + 900));
      outs.insert(outs.end(), out.data(), out.data() + out.cols());
    }
    return outs;
  };
  SparseAttention policy = make(o), fresh = make(o);
  const auto once = decode(policy, 10'000, 260);
  const auto other = decode(policy, 20'000, 260);  // another continuation of the same prompt
  EXPECT_EQ(decode(policy, 10'000, 260), once);
  EXPECT_NE(once, other);
  EXPECT_EQ(decode(fresh, 20'000, 260), other);
}

// The estimate stands for what is not retrieved: the less that is, the less it says.
TEST_F(SparseTest, TheTailEstimateIsNearerToFullAttention) {
  model::ExactAttention exact;
  for (const char* spec : {"flat", "qivf:segment=256,probes=100000", "pages:page=4"}) {
    SCOPED_TRACE(spec);
    double with = 0, without = 0, last = 0;
    for (std::uint64_t seed = 60; seed < 70; ++seed) {
      const Matrix<float> q = random_matrix(1, 96, seed);
      const Matrix<float> full = run(exact, q);
      SparseOptions o = with_index(spec, 20, 1 << 20);
      SparseAttention bare = make(o);
      without += relative_l2(full, run(bare, q));
      const auto distances = stats_.distances, bytes = stats_.bytes;
      o.tail = true;
      SparseAttention tail = make(o);
      with += relative_l2(full, run(tail, q));
      EXPECT_EQ(tail.last_retrieved(), bare.last_retrieved());
      constexpr std::int64_t kCells = (kPrompt - 16 - 64) / kTailCellKeys;
      EXPECT_EQ(stats_.distances - distances, 2 * kShape.heads * kCells);
      EXPECT_GT(stats_.bytes, bytes);
      EXPECT_GT(tail.totals().bytes, bare.totals().bytes);
      o.k = kPrompt;
      SparseAttention all = make(o);
      last = std::max(last, relative_l2(full, run(all, q)));
    }
    EXPECT_LT(with, 0.6 * without);
    EXPECT_LE(last, 1e-5) << "nothing is left";
  }
}

TEST_F(SparseTest, TheTailFollowsTheWindow) {
  SparseOptions o = with_index("flat", 20);
  o.tail = true;
  SparseAttention policy = make(o), fresh = make(o);
  const auto decode = [&](SparseAttention& p, std::uint64_t seed) {
    cache_.truncate(kPrompt);
    std::vector<float> outs;
    for (int t = 0; t < 6; ++t) {
      append(100, seed + static_cast<std::uint64_t>(t));
      const Matrix<float> out = run(p, random_matrix(1, 96, seed + 900));
      outs.insert(outs.end(), out.data(), out.data() + out.cols());
    }
    return outs;
  };
  const auto before = (stats_ = {}, decode(policy, 10'000));
  // 599 keys have left the window: two cells more than the prompt's two.
  EXPECT_EQ(stats_.distances, (kPrompt + 599 - 16 - 64) * kShape.heads + 2 * kShape.heads * 4);
  EXPECT_NE(decode(policy, 20'000), before);
  EXPECT_EQ(decode(policy, 10'000), before);
  EXPECT_EQ(decode(fresh, 10'000), before);
}

// Heads whose attention gains more by further keys retrieve more; all together no more than before.
TEST_F(SparseTest, AMeasuredBudgetIsSharedOutAmongTheHeads) {
  SparseOptions o = with_index("flat", 20);
  SparseAttention policy = make(o);
  const auto queries = [](int layer, int head) {
    const float sharp = head == 0 ? 40.0f : 0.25f;  // one key holds all, or many do
    PlacedQueries out{random_matrix(8, 16, static_cast<std::uint64_t>(100 + 10 * layer + head)),
                      {}};
    for (std::size_t i = 0; i < 8; ++i) {
      for (float& v : out.rows.row_span(i)) v *= sharp;
      out.positions.push_back(600 + static_cast<std::int64_t>(i));
    }
    return out;
  };
  policy.measure_budget(cache_, queries, 0.25f);
  std::int64_t total = 0;
  for (int layer = 0; layer < kShape.layers; ++layer) {
    run(policy, random_matrix(1, 96, 6), layer);
    const auto found = policy.last_retrieved();
    for (const auto& ids : found) {
      total += std::ssize(ids);
      EXPECT_GE(ids.size(), 5u);
      EXPECT_LE(ids.size(), 80u);
    }
    EXPECT_LT(found[0].size(), found[1].size());
    std::int64_t read = 0;
    for (const auto& ids : found) read += std::ssize(ids);
    EXPECT_EQ(stats_.attended_keys, read);
  }
  EXPECT_LE(total, kShape.layers * kShape.heads * 20);
  EXPECT_GT(total, kShape.layers * kShape.heads * 18);
}

TEST_F(SparseTest, BuiltDuringThePrefillEqualsBuiltAfterIt) {
  const SparseOptions o = with_index("qivf:segment=128,share=head", 20, 12);
  SparseAttention after = make(o);
  model::KvCache growing(cache_.shape());
  SparseAttention during(kShape, o);
  for (std::int64_t done = 0; done < kPrompt; done += 90) {
    const std::int64_t rows = std::min<std::int64_t>(90, kPrompt - done);
    for (int layer = 0; layer < kShape.layers; ++layer) {
      // The same values as the whole prompt's, in another chunking.
      const auto n = static_cast<std::size_t>(kPrompt);
      const auto s = 10 + static_cast<std::uint64_t>(layer);
      const auto first = static_cast<std::size_t>(done), count = static_cast<std::size_t>(rows);
      growing.append(layer, random_matrix(n, 32, s).view().row_range(first, count),
                     random_matrix(n, 32, s + 1000).view().row_range(first, count));
    }
    during.build_complete(growing, training, 1);
  }
  EXPECT_GT(during.totals().during_ms, 0);
  during.build(growing, training, 1);
  EXPECT_EQ(during.totals().bytes, after.totals().bytes);
  EXPECT_EQ(after.totals().during_ms, 0);
  for (std::uint64_t seed = 40; seed < 50; ++seed) {
    const Matrix<float> q = random_matrix(1, 96, seed);
    const Matrix<float> a = run(after, q);
    const auto found = after.last_retrieved();
    Matrix<float> b(1, 96);
    during.attend(
        {.layer = 1, .pos = kPrompt - 1, .q = q.view(), .cache = &growing, .scale = 0.25f},
        b.view());
    EXPECT_EQ(during.last_retrieved(), found);
    for (std::size_t i = 0; i < 96; ++i) ASSERT_EQ(a.data()[i], b.data()[i]);
  }
}

TEST_F(SparseTest, TheBufferOfAnInt8CacheIsScored) {
  model::KvCache::Shape shape = cache_.shape();
  shape.type = model::KvType::kInt8;
  cache_ = model::KvCache(shape);
  append(kPrompt, 1);
  SparseOptions o = with_index("flat", kPrompt + 200);
  SparseAttention all = make(o);
  append(200, 2);
  const Matrix<float> q = random_matrix(1, 96, 8);
  model::ExactAttention exact;
  EXPECT_LE(relative_l2(run(exact, q), run(all, q)), 1e-4);
}

TEST_F(SparseTest, WithoutAnIndexOnlyTheStaticSetIsRead) {
  SparseAttention streaming = make(with_index("", 100));
  run(streaming, random_matrix(1, 96, 9));
  EXPECT_EQ(stats_.distances, 0);
  EXPECT_EQ(stats_.bytes, kShape.kv_heads * (16 + 64) * 32 * 2);
  EXPECT_EQ(streaming.index_count(), 0);
}

TEST_F(SparseTest, AContextWithinTheStaticSetIsFullAttention) {
  const Matrix<float> q = random_matrix(1, 96, 10);
  SparseOptions o = with_index("flat", 10);
  o.window = kPrompt;
  SparseAttention policy = make(o);
  model::ExactAttention exact;
  EXPECT_LE(relative_l2(run(exact, q), run(policy, q)), 1e-5);
}

TEST_F(SparseTest, ResultsAndCountersDoNotDependOnThreads) {
  const Matrix<float> q = random_matrix(1, 96, 11);
  const int before = threads();
  set_threads(1);
  SparseAttention one = make(with_index("roar:metric=query", 30, 60));
  const Matrix<float> first = run(one, q);
  const model::AttendStats stats = stats_;
  set_threads(5);
  SparseAttention five = make(with_index("roar:metric=query", 30, 60));
  const Matrix<float> second = run(five, q);
  set_threads(before);
  for (std::size_t i = 0; i < first.cols(); ++i) ASSERT_EQ(first.data()[i], second.data()[i]);
  EXPECT_EQ(stats.distances, stats_.distances);
  EXPECT_EQ(stats.bytes, stats_.bytes);
  EXPECT_EQ(stats.indexed_keys, (kPrompt - 16 - 64) * kShape.heads);
}

TEST_F(SparseTest, SeveralRowsAreExact) {
  const Matrix<float> q = random_matrix(4, 96, 12);
  SparseAttention policy = make(with_index("flat", 1));
  model::ExactAttention exact;
  Matrix<float> a(4, 96), b(4, 96);
  const model::AttendInput in{
      .layer = 0, .pos = kPrompt - 4, .q = q.view(), .cache = &cache_, .scale = 0.25f};
  policy.attend(in, a.view());
  exact.attend(in, b.view());
  for (std::size_t i = 0; i < 4 * 96; ++i) EXPECT_EQ(a.data()[i], b.data()[i]);
}

TEST_F(SparseTest, OneSourceWaitsForTheOtherAndSequentialOnesDoNotOverlap) {
  const Matrix<float> q = random_matrix(1, 96, 9);
  SparseOptions o = with_index("flat", 10);
  SparseAttention parallel = make(o);
  run(parallel, q);
  EXPECT_EQ(std::min(stats_.search_wait_ms, stats_.static_wait_ms), 0);
  EXPECT_GE(stats_.overlap_ms, 0);
  o.sequential = true;
  SparseAttention sequential = make(o);
  run(sequential, q);
  EXPECT_EQ(stats_.overlap_ms, 0);
  EXPECT_EQ(stats_.search_wait_ms, 0);
  EXPECT_GT(stats_.static_wait_ms, 0);
  SparseAttention streaming = make(with_index("", 0));
  run(streaming, q);
  EXPECT_EQ(stats_.overlap_ms + stats_.search_wait_ms + stats_.static_wait_ms, 0);
}

}  // namespace
}  // namespace ra::attention
