// SPDX-License-Identifier: Apache-2.0
// Heads that attend together (SparseOptions::group).
#include <algorithm>
#include <functional>
#include <iterator>
#include <numeric>
#include <set>
#include <string_view>
#include <vector>

#include "lib/core/parallel.h"
#include "tests/attention/sparse_scene.h"

namespace ra::attention {
namespace {

class SparseGroupTest : public SparseTest {};

// All heads of a KV head attend to what its index has for any of them, whether the index is theirs
// together or each has its own.
TEST_F(SparseGroupTest, AGroupAttendsTogetherToWhatAnyOfItsHeadsRetrieved) {
  const Matrix<float> q = random_matrix(1, 96, 6);
  for (const char* spec : {"flat", "flat:bits=8", "qivf", "ivf:lists=8,share=head"}) {
    SCOPED_TRACE(spec);
    SparseOptions o = with_index(spec, 20, 8);
    SparseAttention alone = make(o);
    run(alone, q);
    const auto of_each = alone.last_retrieved();
    o.group = true;
    SparseAttention together = make(o);
    const Matrix<float> out = run(together, q);
    const auto found = together.last_retrieved();
    ASSERT_EQ(found.size(), 6u);
    std::int64_t attended = 0;
    for (std::size_t h = 0; h < 6; ++h) {
      const std::set<std::int64_t> keys(found[h].begin(), found[h].end());
      ASSERT_EQ(keys.size(), found[h].size()) << "each once";
      EXPECT_GE(*keys.begin(), 16);
      EXPECT_LT(*keys.rbegin(), kPrompt - 64);
      EXPECT_EQ(found[h], found[h / 3 * 3]);
      attended += std::ssize(keys);
      expect_attention_over(q, static_cast<int>(h), keys, out);
    }
    EXPECT_EQ(stats_.attended_keys, attended);
    if (std::string_view(spec) == "qivf" || std::string_view(spec) == "flat:bits=8") continue;
    for (std::size_t first = 0; first < 6; first += 3) {  // exactly the hits of the three
      std::set<std::uint32_t> any;
      for (std::size_t h = first; h < first + 3; ++h)
        any.insert(of_each[h].begin(), of_each[h].end());
      EXPECT_EQ(std::set(found[first].begin(), found[first].end()), any);
    }
  }
}

// By share a head that needs few keys brings few. All heads of a KV head attend to what is worth it
// for any of them, in parallel or one source after the other.
TEST_F(SparseGroupTest, AGroupAttendsToWhatIsWorthAShareOfAnyHead) {
  const Matrix<float> q = random_matrix(1, 96, 6);
  SparseOptions o = with_index("qivf", 20);
  o.group = true;
  std::vector<std::size_t> sizes;
  for (const double share : {1e-9, 0.002, 0.01, 0.4}) {
    SCOPED_TRACE(share);
    o.share = share;
    SparseAttention policy = make(o);
    const Matrix<float> out = run(policy, q);
    EXPECT_EQ(stats_.overlap_ms + stats_.search_wait_ms + stats_.static_wait_ms, 0);
    EXPECT_GT(stats_.static_busy_ms, 0);
    const model::AttendStats stats = stats_;
    const auto found = policy.last_retrieved();
    for (std::size_t h = 0; h < 6; ++h)
      expect_attention_over(q, static_cast<int>(h), {found[h].begin(), found[h].end()}, out);
    sizes.push_back(found[0].size());
    SparseOptions in_turn = o;
    in_turn.sequential = true;
    SparseAttention sequential = make(in_turn);
    const Matrix<float> same = run(sequential, q);
    EXPECT_EQ(relative_l2(out, same), 0);
    EXPECT_EQ(stats_.distances, stats.distances);
    EXPECT_EQ(stats_.bytes, stats.bytes);
    EXPECT_EQ(stats_.attended_keys, stats.attended_keys);
  }
  EXPECT_EQ(sizes.front(), static_cast<std::size_t>(kPrompt - 16 - 64));
  EXPECT_TRUE(std::ranges::is_sorted(sizes, std::greater<>()));
  EXPECT_EQ(sizes.back(), 0u);
}

// After growth too.
TEST_F(SparseGroupTest, TheRestBringsTheOutputNearerToFullAttention) {
  const Matrix<float> q = random_matrix(1, 96, 6);
  SparseOptions o = with_index("qivf:segment=128", 4);
  o.group = true;
  o.share = 0.01;
  o.flush = 100;
  SparseAttention bare = make(o);
  o.rest = true;
  SparseAttention policy = make(o);
  model::ExactAttention exact;
  const auto error_of = [&](SparseAttention& p) { return relative_l2(run(exact, q), run(p, q)); };
  const Matrix<float> first = run(policy, q);
  EXPECT_LT(error_of(policy), 0.6 * error_of(bare));
  EXPECT_EQ(policy.last_retrieved(), bare.last_retrieved());
  EXPECT_GT(policy.totals().bytes, bare.totals().bytes);
  append(300, 5);
  EXPECT_LT(error_of(policy), 0.6 * error_of(bare)) << "grown";
  cache_.truncate(kPrompt);
  EXPECT_EQ(relative_l2(run(policy, q), first), 0) << "growth taken back";
}

TEST_F(SparseGroupTest, AShareFallsWithTheContextUpToWhereItHolds) {
  const Matrix<float> q = random_matrix(1, 96, 6);
  SparseOptions o = with_index("qivf", 20);
  o.group = true;
  o.share = 0.005;
  SparseAttention plain = make(o);
  const Matrix<float> expected = run(plain, q);
  const std::int64_t distances = stats_.distances;
  o.share_from = kPrompt;  // reached
  SparseAttention reached = make(o);
  EXPECT_EQ(relative_l2(run(reached, q), expected), 0);
  EXPECT_EQ(stats_.distances, distances);
  o.share = 0.01;  // of twice as many
  o.share_from = 2 * kPrompt;
  SparseAttention half = make(o);
  EXPECT_EQ(relative_l2(run(half, q), expected), 0);
  EXPECT_EQ(stats_.distances, distances);
}

// A group is split where there are threads for its parts, by two heads at least; then the heads of
// a part attend together. Groups of 3 stay whole for any number of threads.
TEST_F(SparseGroupTest, AGroupIsSplitAmongThreadsThatHaveNoneOfTheirOwn) {
  const int before = threads();
  const Matrix<float> q = random_matrix(1, 96, 6);
  model::KvCache one(
      {.layers = 1, .kv_heads = 1, .head_dim = 16, .value_dim = 16, .capacity = kPrompt});
  one.append(0, random_matrix(kPrompt, 16, 1).view(), random_matrix(kPrompt, 16, 2).view());
  std::vector<std::vector<std::uint32_t>> of_three;
  for (const int n : {1, 2, 4, 9}) {
    SCOPED_TRACE(n);
    set_threads(n);
    for (const char* spec : {"qivf", "qivf:share=head"}) {
      SparseOptions o = with_index(spec, 20);
      o.group = true;
      SparseAttention policy = make(o);
      run(policy, q);
      if (of_three.empty()) of_three = policy.last_retrieved();
      if (std::string_view(spec) == "qivf") {
        EXPECT_EQ(policy.last_retrieved(), of_three);
      }

      SparseAttention wide(
          {.layers = 1, .heads = 6, .kv_heads = 1, .head_dim = 16, .value_dim = 16}, o);
      wide.build(one, training, 1);
      Matrix<float> out(1, 96);
      const auto stats = wide.attend(
          {.layer = 0, .pos = kPrompt - 1, .q = q.view(), .cache = &one, .scale = 0.25f},
          out.view());
      const auto of_head = wide.last_retrieved();
      ASSERT_EQ(of_head.size(), 6u);
      const std::size_t together = 6 / static_cast<std::size_t>(std::clamp(n, 1, 3));
      std::int64_t attended = 0;
      for (std::size_t h = 0; h < 6; ++h) {
        attended += std::ssize(of_head[h]);
        EXPECT_GE(of_head[h].size(), 20u);
        EXPECT_EQ(of_head[h], of_head[h / together * together]);
        if (together < 6) {
          EXPECT_NE(of_head[h], of_head[(h + together) % 6]);
        }
        expect_attention_over(q, static_cast<int>(h), {of_head[h].begin(), of_head[h].end()}, out,
                              one.rows(0, 0));
      }
      EXPECT_EQ(stats.attended_keys, attended);
    }
  }
  set_threads(before);
}

// Keys that wait for the index are attended to as they are if they are few, of many those that any
// head scores no less than the last that the index has for it.
TEST_F(SparseGroupTest, AGroupAttendsToTheBufferToo) {
  SparseOptions o = with_index("flat", 20);
  o.group = true;
  SparseAttention policy = make(o);
  const Matrix<float> q = random_matrix(1, 96, 8);
  constexpr std::uint32_t kFirst = kPrompt - 64;
  const auto from_buffer = [&] {
    run(policy, q);
    std::vector<std::vector<std::uint32_t>> of_head;
    for (const auto& ids : policy.last_retrieved()) {
      EXPECT_EQ(std::set(ids.begin(), ids.end()).size(), ids.size());
      auto& buffered = of_head.emplace_back();
      std::ranges::copy_if(ids, std::back_inserter(buffered), [](auto p) { return p >= kFirst; });
    }
    return of_head;
  };
  const auto score = [&](int head, std::uint32_t p) {
    const auto* key = static_cast<const bf16*>(cache_.rows(1, head / 3).k) + p * 16;
    float sum = 0;
    for (int d = 0; d < 16; ++d) sum += q.row(0)[head * 16 + d] * to_float(key[d]);
    return sum;
  };
  append(21, 2);
  std::vector<std::uint32_t> all(20);
  std::iota(all.begin(), all.end(), kFirst);
  for (const auto& ids : from_buffer()) EXPECT_EQ(ids, all);
  append(100, 3);
  const auto of_many = from_buffer();
  for (int h = 0; h < 6; h += 3) {
    std::vector<std::uint32_t> good;
    for (std::uint32_t p = kFirst; p < kFirst + 120; ++p)
      for (int of_group = h; of_group < h + 3; ++of_group) {
        int better = 0;  // keys of the index
        for (std::uint32_t key = 16; key < kFirst; ++key)
          better += score(of_group, key) > score(of_group, p);
        if (better >= 20) continue;
        good.push_back(p);
        break;
      }
    EXPECT_EQ(of_many[static_cast<std::size_t>(h)], good);
    EXPECT_LT(good.size(), 60u);
  }
}

}  // namespace
}  // namespace ra::attention
