// SPDX-License-Identifier: Apache-2.0
#include "lib/model/decoder.h"

#include <gtest/gtest.h>

#include <chrono>
#include <limits>
#include <numeric>
#include <vector>

#include "lib/core/error.h"
#include "lib/model/cpu_backend.h"
#include "lib/model/exact_attention.h"
#include "lib/model/load.h"
#include "lib/model/sampler.h"
#include "tests/support/fake_gguf.h"
#include "tests/support/model_run.h"
#include "tests/support/reference_backend.h"

namespace ra::model {
namespace {

using test::FakeGguf;
using test::tiny_model;

// ids 3, 10, 17, ...: any tokens of the vocabulary do.
std::vector<std::int32_t> some_ids(std::size_t n) {
  std::vector<std::int32_t> ids(n);
  for (std::size_t i = 0; i < n; ++i) ids[i] = static_cast<std::int32_t>((3 + 7 * i) % 288);
  return ids;
}

// Reference attention that remembers how many rows came each time.
class CountingAttention : public test::ReferenceAttention {
 public:
  AttendStats attend(const AttendInput& in, MatView<float> out) override {
    if (in.layer == 0) rows.push_back(in.q.rows);
    AttendStats stats = test::ReferenceAttention::attend(in, out);
    stats.distances = 7;
    return stats;
  }
  std::vector<std::size_t> rows;
};

class DecoderTest : public testing::Test {
 protected:
  explicit DecoderTest(const std::string& name = "qwen2-f32") : file(tiny_model(name)) {}

  KvCache make_cache(std::int64_t capacity) const {
    const Config& c = m.config;
    return KvCache({c.n_layers, c.n_kv_heads, c.head_dim, c.value_dim, capacity, KvType::kF32});
  }

  FakeGguf file;
  Model m = load(file);
  test::ReferenceBackend backend;
  CountingAttention attention;
};

TEST_F(DecoderTest, ChunksOfAnySizeAndStepsGiveTheSame) {
  const auto ids = some_ids(23);
  const test::ModelRun whole = test::run_prompt(m, backend, attention, ids);
  EXPECT_EQ(whole.logits.size(), ids.size() * 288);
  for (const std::size_t chunk : {0, 1, 2, 3, 7, 22, 23}) {
    const test::ModelRun part = test::run_prompt(m, backend, attention, ids, {.chunk = chunk});
    EXPECT_LE(test::difference(part.logits, whole.logits).max_rel, 1e-5) << chunk;
    EXPECT_LE(test::difference(part.q, whole.q).max_rel, 1e-5) << chunk;
    EXPECT_LE(test::difference(part.k, whole.k).max_rel, 1e-5) << chunk;
    EXPECT_LE(test::difference(part.v, whole.v).max_rel, 1e-5) << chunk;
  }
}

TEST_F(DecoderTest, NoChunkOfALongerPromptIsASingleRow) {
  KvCache cache = make_cache(64);
  Decoder decoder(m, backend, cache, attention, {.chunk = 4});
  decoder.prefill(some_ids(9));
  EXPECT_EQ(attention.rows, (std::vector<std::size_t>{4, 5}));
  EXPECT_EQ(decoder.position(), 9);
  attention.rows.clear();
  decoder.prefill(some_ids(10));  // goes on where the cache ends
  EXPECT_EQ(attention.rows, (std::vector<std::size_t>{4, 4, 2}));
  EXPECT_EQ(decoder.position(), 19);
  attention.rows.clear();
  decoder.prefill(some_ids(1));
  decoder.step(5);
  EXPECT_EQ(attention.rows, (std::vector<std::size_t>{1, 1}));
}

TEST_F(DecoderTest, SequencesThatDecodeTogetherAreThoseThatDecodeAlone) {
  CpuBackend cpu(Compute::kF32);
  const std::vector<std::vector<std::int32_t>> prompts{{3, 10, 17, 24, 31}, {200, 7}, {99}};
  std::vector<std::vector<float>> alone;
  for (const auto& prompt : prompts) {
    KvCache cache = make_cache(16);
    ExactAttention exact;
    Decoder decoder(m, cpu, cache, exact);
    decoder.prefill(prompt);
    decoder.step(42);
    const auto logits = decoder.step(43);
    alone.emplace_back(logits.begin(), logits.end());
  }
  std::vector<KvCache> caches;
  std::vector<ExactAttention> policies(prompts.size());
  std::vector<Sequence> sequences;
  caches.reserve(prompts.size());
  KvCache own = make_cache(1);
  Decoder decoder(m, cpu, own, attention);
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    caches.push_back(make_cache(16));
    Decoder(m, cpu, caches[i], policies[i]).prefill(prompts[i]);
    sequences.push_back({&caches[i], &policies[i]});
  }
  std::vector<StepTimes> layers(static_cast<std::size_t>(m.config.n_layers));
  decoder.set_layer_times(&layers);
  decoder.step(sequences, std::vector<std::int32_t>{42, 42, 42});
  StepTimes times;
  const MatView<const float> logits =
      decoder.step(sequences, std::vector<std::int32_t>{43, 43, 43}, &times);
  ASSERT_EQ(logits.rows, prompts.size());
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    EXPECT_EQ(std::vector<float>(logits.row(i), logits.row(i) + logits.cols), alone[i]) << i;
    EXPECT_EQ(caches[i].size(), std::ssize(prompts[i]) + 2);
  }
  EXPECT_EQ(own.size(), 0);
  EXPECT_TRUE(attention.rows.empty());
  EXPECT_GT(times.ffn_ms, 0);
  for (const StepTimes& layer : layers) {
    EXPECT_GT(layer.ffn_ms, 0);
    EXPECT_EQ(layer.head_ms, 0);
  }
}

TEST_F(DecoderTest, LogitsOfAllPositionsComeInBlocksAndTheLastIsReturned) {
  const auto ids = some_ids(150);
  KvCache cache = make_cache(300);
  Decoder decoder(m, backend, cache, attention, {.chunk = 100});
  std::vector<std::pair<std::int64_t, std::size_t>> blocks;
  std::vector<float> last_row;
  const auto last = decoder.prefill(ids, [&](std::int64_t pos, MatView<const float> logits) {
    blocks.emplace_back(pos, logits.rows);
    last_row.assign(logits.row(logits.rows - 1), logits.row(logits.rows - 1) + logits.cols);
  });
  EXPECT_EQ(blocks,
            (std::vector<std::pair<std::int64_t, std::size_t>>{{0, 64}, {64, 36}, {100, 50}}));
  EXPECT_EQ(std::vector<float>(last.begin(), last.end()), last_row);

  KvCache other = make_cache(300);
  Decoder without(m, backend, other, attention, {.chunk = 100});
  const auto only_last = without.prefill(ids);
  EXPECT_EQ(std::vector<float>(only_last.begin(), only_last.end()), last_row);
}

TEST_F(DecoderTest, ProgressCanStopThePrefill) {
  KvCache cache = make_cache(64);
  Decoder decoder(m, backend, cache, attention, {.chunk = 4});
  std::vector<std::int64_t> done;
  const auto logits = decoder.prefill(some_ids(20), {}, [&](std::int64_t n) {
    done.push_back(n);
    return n < 8;
  });
  EXPECT_EQ(done, (std::vector<std::int64_t>{4, 8}));
  EXPECT_EQ(decoder.position(), 8);
  const std::vector<float> stopped(logits.begin(), logits.end());
  KvCache other = make_cache(64);
  Decoder eight(m, backend, other, attention, {.chunk = 4});
  const auto want = eight.prefill(some_ids(8));
  EXPECT_EQ(stopped, std::vector<float>(want.begin(), want.end()));
}

TEST_F(DecoderTest, TheSinkSeesEveryLayerAndPosition) {
  struct Sink : QkvSink {
    void on_qkv(const QkvView& v) override {
      calls.push_back({v.layer, v.pos, static_cast<std::int64_t>(v.q.rows)});
      EXPECT_EQ(v.q.cols, 32u);
      EXPECT_EQ(v.k.cols, 16u);
      EXPECT_EQ(v.v.cols, 16u);
      EXPECT_EQ(v.k.rows, v.q.rows);
    }
    std::vector<std::vector<std::int64_t>> calls;
  } sink;
  KvCache cache = make_cache(64);
  Decoder decoder(m, backend, cache, attention, {.chunk = 4});
  decoder.set_sink(&sink);
  decoder.prefill(some_ids(6));
  decoder.step(1);
  decoder.set_sink(nullptr);
  decoder.step(2);
  EXPECT_EQ(sink.calls, (std::vector<std::vector<std::int64_t>>{
                            {0, 0, 4}, {1, 0, 4}, {0, 4, 2}, {1, 4, 2}, {0, 6, 1}, {1, 6, 1}}));
}

TEST_F(DecoderTest, PartsOfAStepAddUpToIt) {
  KvCache cache = make_cache(64);
  Decoder decoder(m, backend, cache, attention);
  decoder.prefill(some_ids(20));
  StepTimes t;
  const auto start = std::chrono::steady_clock::now();
  decoder.step(5, &t);
  const std::chrono::duration<double, std::milli> whole = std::chrono::steady_clock::now() - start;
  const double parts[] = {t.qkv_ms, t.attend_ms, t.proj_ms, t.ffn_ms, t.head_ms, t.other_ms};
  for (const double part : parts) EXPECT_GE(part, 0);
  for (const double part : {t.qkv_ms, t.attend_ms, t.proj_ms, t.ffn_ms, t.head_ms})
    EXPECT_GT(part, 0);
  EXPECT_LE(std::accumulate(std::begin(parts), std::end(parts), 0.0), whole.count());
  EXPECT_EQ(t.attend.distances, 14);  // two layers of seven
}

TEST_F(DecoderTest, RefusesTokensOutsideTheVocabulary) {
  KvCache cache = make_cache(64);
  Decoder decoder(m, backend, cache, attention, {.chunk = 4});
  for (const std::int32_t bad : {-1, 288, std::numeric_limits<std::int32_t>::max()}) {
    cache.truncate(0);
    auto ids = some_ids(8);
    ids[6] = bad;
    try {
      decoder.prefill(ids);
      ADD_FAILURE() << bad;
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), Exit::kBadData);
      EXPECT_EQ(e.text().where, "position 6");
      EXPECT_NE(e.text().why.find(std::to_string(bad)), std::string::npos);
    }
  }
}

TEST_F(DecoderTest, NanAndInfinityStopWithLayerAndToken) {
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    FakeGguf broken(tiny_model("qwen2-f32"));
    broken.change_floats("blk.1.ffn_down.weight")[100] = bad;
    const Model broken_model = load(broken);
    try {
      test::run_prompt(broken_model, backend, attention, some_ids(5));
      ADD_FAILURE() << bad;
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), Exit::kBadData);
      EXPECT_EQ(e.text().where, "layer 1");
      EXPECT_NE(e.text().why.find("token 0"), std::string::npos) << e.what();
    }
    // One bad row of the embedding (not tied to the output) shows at the token that uses it.
    FakeGguf bad_row(tiny_model("llama-f32"));
    bad_row.change_floats("token_embd.weight")[static_cast<std::size_t>(some_ids(4)[3]) * 32] = bad;
    const Model bad_row_model = load(bad_row);
    try {
      test::run_prompt(bad_row_model, backend, attention, some_ids(5), {.chunk = 2});
      ADD_FAILURE() << bad;
    } catch (const Error& e) {
      EXPECT_EQ(e.text().where, "token_embd.weight");
      EXPECT_NE(e.text().why.find("token 3"), std::string::npos) << e.what();
    }
  }
}

// Huge but finite weights overflow somewhere inside: an error, never a silent NaN.
TEST_F(DecoderTest, OverflowInsideALayerIsFound) {
  FakeGguf huge(tiny_model("qwen2-f32"));
  for (float& w : huge.change_floats("blk.0.ffn_up.weight")) w = 1e38f;
  for (float& w : huge.change_floats("blk.0.ffn_down.weight")) w = 1e38f;
  const Model huge_model = load(huge);
  EXPECT_THROW(test::run_prompt(huge_model, backend, attention, some_ids(5)), Error);
}

// The pool's threads may be running: a plain fork could inherit a lock.
class DecoderDeathTest : public DecoderTest {
 protected:
  void SetUp() override { testing::FLAGS_gtest_death_test_style = "threadsafe"; }
};

TEST_F(DecoderDeathTest, MorePositionsThanTheCacheHoldsIsABug) {
  KvCache cache = make_cache(4);
  Decoder decoder(m, backend, cache, attention);
  EXPECT_DEATH(decoder.prefill(some_ids(5)), "RA_CHECK");
  decoder.prefill(some_ids(4));
  EXPECT_DEATH(decoder.step(1), "RA_CHECK");
}

TEST_F(DecoderDeathTest, ACacheOfAnotherShapeIsABug) {
  KvCache cache({.layers = 1, .kv_heads = 2, .head_dim = 8, .value_dim = 8, .capacity = 4});
  EXPECT_DEATH(Decoder(m, backend, cache, attention), "RA_CHECK");
}

TEST_F(DecoderTest, APrefillThatGoesOnAtAChunkGivesTheSameBits) {
  CpuBackend fast;
  ExactAttention exact;
  for (const std::int64_t n : {1, 2, 16, 17, 18, 32, 33, 34, 40}) {
    const auto ids = some_ids(static_cast<std::size_t>(n));
    KvCache cache = make_cache(n);
    Decoder decoder(m, fast, cache, exact, {.chunk = 16});
    const auto logits = decoder.prefill(ids);
    const std::vector<float> want(logits.begin(), logits.end());
    for (std::int64_t most = 0; most <= n + 3; ++most) {
      const std::int64_t start = decoder.chunk_start(n, most);
      EXPECT_LE(start, most);
      EXPECT_LT(start, n);
      EXPECT_TRUE(start == 0 || n - start > 1) << n << " " << most;
      EXPECT_EQ(start % 16, 0);
      cache.truncate(start);
      const auto again = decoder.prefill(std::span(ids).subspan(static_cast<std::size_t>(start)));
      ASSERT_TRUE(std::equal(again.begin(), again.end(), want.begin())) << n << " " << most;
    }
  }
  KvCache cache = make_cache(64);
  const Decoder decoder(m, fast, cache, exact, {.chunk = 16});
  EXPECT_EQ(decoder.chunk_start(40, 40), 32);
  EXPECT_EQ(decoder.chunk_start(40, 31), 16);
  EXPECT_EQ(decoder.chunk_start(33, 33), 16);  // the last chunk has 17 rows
}

}  // namespace
}  // namespace ra::model
