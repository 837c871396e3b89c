// SPDX-License-Identifier: Apache-2.0
#include "lib/model/run_state.h"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <numeric>
#include <vector>

#include "lib/core/error.h"
#include "tests/support/random.h"
#include "tests/support/temp_folder.h"

namespace ra::model {
namespace {

namespace fs = std::filesystem;
using testing::read_file;
using testing::write_text;

constexpr KvCache::Shape kShape{
    .layers = 2, .kv_heads = 2, .head_dim = 4, .value_dim = 6, .capacity = 30};

class RunStateTest : public ::testing::Test {
 protected:
  RunStateTest() : cache_(kShape), queries_(empty_sample()) {
    Matrix<float> k(30, 8), v(30, 12);
    for (unsigned layer = 0; layer < 2; ++layer) {
      std::ranges::copy(testing::random_floats(240, layer), k.data());
      std::ranges::copy(testing::random_floats(360, 5 + layer), v.data());
      cache_.append(static_cast<int>(layer), k.view(), v.view());
      auto& rows = queries_.layers[layer];
      std::ranges::copy(testing::random_bf16(rows.rows() * rows.cols(), 9 + layer), rows.data());
    }
    record_.ids.resize(30);
    std::iota(record_.ids.begin(), record_.ids.end(), 100);
    record_.queries = &queries_;
  }
  static QuerySample empty_sample() {  // of 4 heads
    QuerySample sample{{0, 7, 14, 21, 28}, {}};
    for (int layer = 0; layer < 2; ++layer) sample.layers.emplace_back(4 * 5, 4);
    return sample;
  }
  // Pieces 0-9, 10-19 and 20-24, as a run with losses leaves them.
  void save() {
    RunState state(folder_ / "state", "run");
    for (const std::int64_t end : {10, 20, 25}) {
      record_.nll.resize(static_cast<std::size_t>(end), 0.5f);
      state.save(cache_, end, record_);
      EXPECT_EQ(state.end(), end);
    }
  }
  // Loads, checks that all of it is right, and says how far it went.
  std::int64_t load(const std::string& run = "run", bool with_queries = true) {
    KvCache cache(kShape);
    QuerySample queries = empty_sample();
    RunRecord record{.queries = with_queries ? &queries : nullptr};
    RunState state(folder_ / "state", run);
    const auto ids = state.load(cache, record);
    const std::int64_t end = state.end();
    EXPECT_EQ(cache.size(), end);
    EXPECT_EQ(std::ssize(ids), end);
    EXPECT_EQ(std::ssize(record.nll), end);
    EXPECT_TRUE(std::equal(ids.begin(), ids.end(), record_.ids.begin()));
    for (int layer = 0; layer < 2; ++layer) {
      for (int head = 0; head < 2; ++head) {
        const auto n = static_cast<std::size_t>(end);
        EXPECT_EQ(std::memcmp(cache.rows(layer, head).k, cache_.rows(layer, head).k, n * 4 * 2), 0);
        EXPECT_EQ(std::memcmp(cache.rows(layer, head).v, cache_.rows(layer, head).v, n * 6 * 2), 0);
      }
      if (!with_queries) continue;
      const auto l = static_cast<std::size_t>(layer);
      for (std::size_t i = 0; i < 5 && queries.pos[i] < end; ++i)
        for (std::size_t h = 0; h < 4; ++h)
          EXPECT_EQ(std::memcmp(queries.layers[l].row(h * 5 + i), queries_.layers[l].row(h * 5 + i),
                                4 * 2),
                    0);
    }
    return end;
  }
  fs::path piece(const char* name) const { return folder_ / "state" / name; }

  testing::TempFolder folder_;
  KvCache cache_;
  QuerySample queries_;
  RunRecord record_;
};

TEST_F(RunStateTest, NothingSavedIsNothingLoaded) { EXPECT_EQ(load(), 0); }

TEST_F(RunStateTest, PiecesComeBackInOrder) {
  save();
  EXPECT_EQ(load(), 25);
  EXPECT_EQ(load("run", false), 25);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_ / "state"), {}), 3);
}

TEST_F(RunStateTest, GoesOnAfterWhatWasLoaded) {
  save();
  KvCache cache(kShape);
  QuerySample queries = empty_sample();
  RunRecord record{.queries = &queries};
  RunState state(folder_ / "state", "run");
  state.load(cache, record);
  record_.nll.resize(30, 0.5f);
  state.save(cache_, 30, record_);
  state.save(cache_, 30, record_);  // nothing new
  EXPECT_EQ(load(), 30);
}

TEST_F(RunStateTest, EndsBeforeAPieceThatIsNotWhole) {
  save();
  const std::string good = read_file(piece("0000000010.kv"));
  for (std::size_t i = 0; i < good.size(); i += 211) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 4);
    write_text(piece("0000000010.kv"), bad);
    ASSERT_EQ(load(), 10) << i;
    write_text(piece("0000000010.kv"), good.substr(0, i));
    ASSERT_EQ(load(), 10) << i;
  }
  fs::remove(piece("0000000010.kv"));
  EXPECT_EQ(load(), 10);
  fs::rename(piece("0000000020.kv"), piece("0000000010.kv"));  // says it begins at 20
  EXPECT_EQ(load(), 10);
  write_text(piece("0000000010.kv"), good);
  EXPECT_EQ(load(), 20);
}

TEST_F(RunStateTest, PiecesOfAnotherRunAreNotTaken) {
  save();
  EXPECT_EQ(load("another"), 0);
}

TEST_F(RunStateTest, PiecesWithoutTheWantedQueriesAreNotTaken) {
  record_.queries = nullptr;
  save();
  EXPECT_EQ(load("run", false), 25);
  EXPECT_EQ(load("run", true), 0);
}

}  // namespace
}  // namespace ra::model
