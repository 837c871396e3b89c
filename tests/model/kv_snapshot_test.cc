// SPDX-License-Identifier: Apache-2.0
#include "lib/model/kv_snapshot.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "lib/core/error.h"
#include "lib/core/hash.h"
#include "lib/model/kv_tensors.h"
#include "lib/model/sampler.h"
#include "tests/support/model_run.h"
#include "tests/support/random.h"
#include "tests/support/temp_folder.h"
#include "tests/support/tiny_run.h"

namespace ra::model {
namespace {

using test::FakeGguf;
using test::tiny_ids;
using test::TinyRun;

constexpr std::int64_t kPrompt = 42, kTokens = 48;

QuerySample sample_of(const Config& c) {
  QuerySample sample{{0, 5, 10, 15, 20, 25, 30, 35}, {}};
  for (int layer = 0; layer < c.n_layers; ++layer) {
    sample.layers.emplace_back(static_cast<std::size_t>(c.n_heads) * 8,
                               static_cast<std::size_t>(c.head_dim));
    auto& rows = sample.layers.back();
    std::ranges::copy(testing::random_bf16(rows.rows() * rows.cols(), 5), rows.data());
  }
  return sample;
}

struct Case {
  const char* model;
  KvType type;
};

class KvSnapshotTest : public ::testing::TestWithParam<Case> {
 protected:
  KvSnapshotTest() {
    ids_ = tiny_ids(kTokens);
    const auto prompt = std::span(ids_).first(kPrompt);
    const auto logits = run_.decoder.prefill(prompt);
    next_ = sample(logits, {}, 0);
    const QuerySample queries = sample_of(run_.m.config);
    write_kv_snapshot(file_, false, {gguf_.sha256(), run_.m.config, prompt}, run_.cache, next_,
                      &queries);
  }
  KvSource source() const { return {gguf_.sha256(), run_.m.config, ids_}; }

  // Where check_source() refuses this source, "" if it does not.
  std::string refused(const KvSource& source, KvType type = GetParam().type) const {
    const KvSnapshot snapshot(file_);
    try {
      snapshot.check_source(source, type);
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), Exit::kBadData);
      EXPECT_EQ(e.text().file, file_.string());
      return e.text().where;
    }
    return "";
  }

  FakeGguf gguf_{test::tiny_model(GetParam().model)};
  TinyRun run_{gguf_, GetParam().type, kTokens};
  std::vector<std::int32_t> ids_;
  std::int32_t next_ = 0;
  testing::TempFolder folder_;
  std::filesystem::path file_ = folder_ / "ctx.kv";
};
INSTANTIATE_TEST_SUITE_P(Models, KvSnapshotTest,
                         ::testing::Values(Case{"llama-f32", KvType::kBf16},
                                           Case{"llama-f32", KvType::kF32},
                                           Case{"qwen2-f32", KvType::kBf16},
                                           Case{"qwen2-f32", KvType::kInt8},
                                           Case{"qwen2-q5_0", KvType::kF32}),
                         [](const auto& p) {
                           std::string name = p.param.model;
                           std::ranges::replace(name, '-', '_');
                           return name + "_" + std::string(name_of(p.param.type));
                         });

TEST_P(KvSnapshotTest, DecodeGoesOnWithTheSameBits) {
  const std::vector<float> want = run_.steps(ids_, kPrompt);
  const KvSnapshot snapshot(file_);
  EXPECT_EQ(snapshot.n_tokens(), kPrompt);
  EXPECT_EQ(snapshot.next_token(), next_);
  snapshot.check_source(source(), GetParam().type);
  TinyRun again(gguf_, GetParam().type, kTokens + 100);  // another capacity: rows lie elsewhere
  snapshot.restore(again.cache, kPrompt);
  EXPECT_EQ(again.decoder.position(), kPrompt);
  const std::vector<float> got = again.steps(ids_, kPrompt);
  ASSERT_EQ(got.size(), want.size());
  EXPECT_EQ(std::memcmp(got.data(), want.data(), got.size() * sizeof(float)), 0);
}

TEST_P(KvSnapshotTest, ServesEveryShorterPrompt) {
  const KvSnapshot snapshot(file_);
  for (const std::size_t n : {1u, 2u, 9u, 15u, 16u, 17u, 24u, 25u, 33u, 41u}) {
    TinyRun short_run(gguf_, GetParam().type, kTokens), again(gguf_, GetParam().type, kTokens);
    short_run.decoder.prefill(std::span(ids_).first(n));
    snapshot.restore(again.cache, static_cast<std::int64_t>(n));
    const std::vector<float> want = short_run.steps(ids_, n), got = again.steps(ids_, n);
    // A last chunk of at most 8 rows is computed as decode steps are. Chunks of 16 rows are too
    // few for a frame of int8 keys.
    if (n < 9 || n == 24)
      EXPECT_LE(test::difference(got, want).max_rel, 0.05) << n;
    else
      EXPECT_EQ(std::memcmp(got.data(), want.data(), got.size() * sizeof(float)), 0) << n;
    const auto queries = snapshot.queries(static_cast<std::int64_t>(n), 2048);
    ASSERT_TRUE(queries);
    EXPECT_EQ(queries->pos.size(), std::min<std::size_t>((n + 4) / 5, 8));
  }
}

TEST_P(KvSnapshotTest, QueriesComeBackAndAreThinnedEvenly) {
  const KvSnapshot snapshot(file_);
  const QuerySample want = sample_of(run_.m.config);
  const auto all = snapshot.queries(kPrompt, 8), some = snapshot.queries(kPrompt, 3);
  EXPECT_EQ(all->pos, want.pos);
  EXPECT_EQ(some->pos, (std::vector<std::int64_t>{0, 15, 30}));
  for (std::size_t layer = 0; layer < want.layers.size(); ++layer) {
    const auto &a = all->layers[layer], &s = some->layers[layer], &w = want.layers[layer];
    EXPECT_EQ(std::memcmp(a.data(), w.data(), w.bytes()), 0);
    ASSERT_EQ(s.rows() / 3 * 8, w.rows());
    for (std::size_t head = 0; head < w.rows() / 8; ++head)
      for (std::size_t i = 0; i < 3; ++i)
        EXPECT_EQ(std::memcmp(s.row(head * 3 + i), w.row(head * 8 + 3 * i), w.cols() * 2), 0);
  }
}

TEST_P(KvSnapshotTest, OtherModelsTextsAndTypesAreRefused) {
  EXPECT_EQ(refused(source()), "");
  EXPECT_EQ(refused({std::string(64, '0'), run_.m.config, ids_}), "model_sha256");
  EXPECT_EQ(refused({gguf_.sha256(), run_.m.config, std::span(ids_).first(kPrompt - 1)}),
            "n_tokens");
  std::vector<std::int32_t> other = ids_;
  other[kPrompt - 1] ^= 1;
  EXPECT_EQ(refused({gguf_.sha256(), run_.m.config, other}), "token_ids_sha256");
  other = ids_;
  other[kPrompt] ^= 1;  // not part of the snapshot
  EXPECT_EQ(refused({gguf_.sha256(), run_.m.config, other}), "");
  EXPECT_EQ(refused(source(), GetParam().type == KvType::kF32 ? KvType::kBf16 : KvType::kF32),
            "dtype");
  const auto with = [&](const std::function<void(Config&)>& change) {
    Config c = run_.m.config;
    change(c);
    return refused({gguf_.sha256(), c, ids_});
  };
  EXPECT_EQ(with([](Config& c) { c.architecture = "other"; }), "architecture");
  EXPECT_EQ(with([](Config& c) { ++c.n_layers; }), "n_layers");
  EXPECT_EQ(with([](Config& c) { c.n_heads *= 2; }), "q_train");
  EXPECT_EQ(with([](Config& c) { c.rope_base *= 2; }), "rope_base");
  EXPECT_EQ(with([](Config& c) { c.rope_style = RopeStyle::kNone; }), "rope_style");
  EXPECT_EQ(with([](Config& c) { c.rope_scaling.type = RopeScalingType::kYarn; }), "rope_scaling");
  EXPECT_EQ(with([](Config& c) { c.rope_scaling.factor = 4; }), "rope_scaling");
}

TEST_P(KvSnapshotTest, HoldsWhatTheFormatSays) {
  const TensorFile file(file_, "RAKVSNAP", "KV snapshot");
  const Config& c = run_.m.config;
  EXPECT_EQ(file.text("token_ids_sha256"),
            sha256_hex(std::as_bytes(std::span(ids_).first(kPrompt))));
  EXPECT_EQ(file.text("dtype"), name_of(GetParam().type));
  EXPECT_EQ(file.number("rope_base"), c.rope_base);
  EXPECT_EQ(file.integer("next_token", 0, 1000), next_);
  std::vector<std::string> names;
  for (const auto& t : file.tensors()) names.push_back(std::to_string(t.layer) + t.name);
  std::vector<std::string> want{"0k",       "0v",           "1k",       "1v",
                                "0q_train", "0q_train_pos", "1q_train", "1q_train_pos"};
  if (GetParam().type == KvType::kInt8) {
    want.insert(want.begin() + 2, "0k_frame");
    want.insert(want.begin() + 5, "1k_frame");
  }
  EXPECT_EQ(names, want);
  EXPECT_GE(kv_snapshot_bytes(run_.cache.shape(), kPrompt, c.n_heads, 8),
            std::filesystem::file_size(file_));
}

TEST_P(KvSnapshotTest, WithoutQueriesThereAreNone) {
  write_kv_snapshot(file_, true, {gguf_.sha256(), run_.m.config, std::span(ids_).first(kPrompt)},
                    run_.cache, next_, nullptr);
  EXPECT_FALSE(KvSnapshot(file_).queries(kPrompt, 10));
}

// Files whose checksums are right and whose contents are not.
TEST_P(KvSnapshotTest, FieldsThatDoNotFitAreRefused) {
  const TensorFile good(file_, "RAKVSNAP", "KV snapshot");
  std::vector<TensorSource> tensors;
  for (const auto& t : good.tensors()) tensors.push_back({t.layer, t.name, {t.bytes}});
  const Json header{{"n_tokens", kPrompt},
                    {"n_layers", run_.m.config.n_layers},
                    {"n_kv_heads", run_.m.config.n_kv_heads},
                    {"head_dim", run_.m.config.head_dim},
                    {"value_dim", run_.m.config.value_dim},
                    {"next_token", 1},
                    {"dtype", good.text("dtype")}};
  const auto where = [&](const Json& j, const std::vector<TensorSource>& t) -> std::string {
    const auto bad = folder_ / "bad.kv";
    write_tensor_file(bad, true, "RAKVSNAP", j, t);
    try {
      (void)KvSnapshot(bad);
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), Exit::kBadData);
      return e.text().where;
    }
    return "";
  };
  EXPECT_EQ(where(header, tensors), "");
  const auto with = [&](const char* field, const Json& value) {
    Json j = header;
    j[field] = value;
    return where(j, tensors);
  };
  EXPECT_EQ(with("n_tokens", kPrompt + 1), "k of layer 0");
  EXPECT_EQ(with("n_tokens", 0), "n_tokens");
  EXPECT_EQ(with("n_tokens", std::int64_t{1} << 62), "n_tokens");
  EXPECT_EQ(with("n_layers", run_.m.config.n_layers + 1), "k of layer 2");
  EXPECT_EQ(with("n_kv_heads", 1024), "k of layer 0");
  EXPECT_EQ(with("head_dim", 1025), "head_dim");
  EXPECT_EQ(with("value_dim", 1), "v of layer 0");
  EXPECT_EQ(with("dtype", "int4"), "dtype");
  EXPECT_EQ(with("next_token", -1), "next_token");
  const auto at = [&](int layer, const std::string& name) {
    return std::ranges::find_if(tensors,
                                [&](const auto& t) { return t.layer == layer && t.name == name; }) -
           tensors.begin();
  };
  const auto without = [&](int layer, const std::string& name) {
    auto t = tensors;
    t.erase(t.begin() + at(layer, name));
    return where(header, t);
  };
  EXPECT_EQ(without(1, "v"), "v of layer 1");
  EXPECT_EQ(without(0, "q_train"), "q_train");
  EXPECT_EQ(without(1, "q_train"), "q_train of layer 1");
  EXPECT_EQ(without(1, "q_train_pos"), "q_train_pos of layer 1");
  EXPECT_EQ(GetParam().type == KvType::kInt8 ? without(1, "k_frame") : "k_frame of layer 1",
            "k_frame of layer 1");
  std::vector<std::int64_t> pos{0, 5, 10, 15, 20, 25, 35, 30};  // not ascending
  auto t = tensors;
  auto& last = t[static_cast<std::size_t>(at(1, "q_train_pos"))];
  t[static_cast<std::size_t>(at(0, "q_train_pos"))].pieces =
      last.pieces = {std::as_bytes(std::span(pos))};
  EXPECT_EQ(where(header, t), "q_train_pos");
  pos = {0, 5, 10, 15, 20, 25, 30, kPrompt};  // after the prompt
  EXPECT_EQ(where(header, t), "q_train_pos");
  pos.back() = kPrompt - 1;
  EXPECT_EQ(where(header, t), "");
  last.pieces = tensors[static_cast<std::size_t>(at(1, "q_train_pos"))].pieces;
  EXPECT_EQ(where(header, t), "q_train_pos of layer 1");
}

}  // namespace
}  // namespace ra::model
