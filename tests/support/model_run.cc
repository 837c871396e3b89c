// SPDX-License-Identifier: Apache-2.0
#include "tests/support/model_run.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "lib/model/load.h"
#include "lib/model/sampler.h"
#include "tests/support/fake_gguf.h"

namespace ra::test {
namespace {

model::KvCache make_cache(const model::Model& m, std::size_t capacity, const RunOptions& options) {
  const model::Config& c = m.config;
  return model::KvCache({.layers = c.n_layers,
                         .kv_heads = c.n_kv_heads,
                         .head_dim = c.head_dim,
                         .value_dim = c.value_dim,
                         .capacity = static_cast<std::int64_t>(capacity),
                         .type = options.kv});
}

class Recorder : public model::QkvSink {
 public:
  Recorder(ModelRun& run, std::size_t layers, std::size_t tokens)
      : run_(run), layers_(layers), tokens_(tokens) {}

  void on_qkv(const model::QkvView& view) override {
    store(view, view.q, run_.q);
    store(view, view.k, run_.k);
    store(view, view.v, run_.v);
  }

 private:
  void store(const model::QkvView& view, MatView<const float> x, std::vector<float>& all) const {
    all.resize(layers_ * tokens_ * x.cols);
    for (std::size_t t = 0; t < x.rows; ++t) {
      const std::size_t row =
          static_cast<std::size_t>(view.layer) * tokens_ + static_cast<std::size_t>(view.pos) + t;
      std::copy_n(x.row(t), x.cols, all.data() + row * x.cols);
    }
  }
  ModelRun& run_;
  std::size_t layers_, tokens_;
};

}  // namespace

ModelRun run_prompt(const model::Model& m, model::Backend& backend,
                    model::AttentionPolicy& attention, std::span<const std::int32_t> ids,
                    const RunOptions& options) {
  ModelRun run;
  Recorder recorder(run, static_cast<std::size_t>(m.config.n_layers), ids.size());
  model::KvCache cache = make_cache(m, ids.size(), options);
  model::Decoder decoder(m, backend, cache, attention,
                         {.chunk = std::max<std::size_t>(options.chunk, 1)});
  decoder.set_sink(&recorder);
  if (options.chunk == 0) {
    for (const std::int32_t id : ids) {
      const std::span<const float> logits = decoder.step(id);
      run.logits.insert(run.logits.end(), logits.begin(), logits.end());
    }
    return run;
  }
  decoder.prefill(ids, [&](std::int64_t pos, MatView<const float> logits) {
    EXPECT_EQ(static_cast<std::size_t>(pos) * logits.cols, run.logits.size());
    for (std::size_t t = 0; t < logits.rows; ++t)
      run.logits.insert(run.logits.end(), logits.row(t), logits.row(t) + logits.cols);
  });
  return run;
}

std::vector<std::int32_t> run_greedy(const model::Model& m, model::Backend& backend,
                                     model::AttentionPolicy& attention,
                                     std::span<const std::int32_t> ids, std::size_t n,
                                     const RunOptions& options) {
  model::KvCache cache = make_cache(m, ids.size() + n, options);
  model::Decoder decoder(m, backend, cache, attention, {.chunk = options.chunk});
  std::vector<std::int32_t> out;
  std::span<const float> logits = decoder.prefill(ids);
  for (std::size_t i = 0; i < n; ++i) {
    out.push_back(model::sample(logits, {}, i));
    logits = decoder.step(out.back());
  }
  return out;
}

Difference difference(std::span<const float> got, std::span<const float> want) {
  EXPECT_EQ(got.size(), want.size());
  double max_error = 0, max_want = 0, squared_error = 0, squared_want = 0;
  for (std::size_t i = 0; i < std::min(got.size(), want.size()); ++i) {
    const double w = want[i], e = static_cast<double>(got[i]) - w;
    EXPECT_TRUE(std::isfinite(e)) << "at " << i;
    max_error = std::max(max_error, std::abs(e));
    max_want = std::max(max_want, std::abs(w));
    squared_error += e * e;
    squared_want += w * w;
  }
  return {max_error / max_want, squared_error / squared_want};
}

namespace {

// The model of a golden case as it is on disk, with the frequencies that the reference used.
struct GoldenModel {
  explicit GoldenModel(const GoldenCase& golden)
      : want("tests/golden/model/" + golden.reference_name + ".ref"),
        file(tiny_model(golden.model_name)) {
    EXPECT_EQ(file.sha256(), want.header().at("model_sha256"))
        << "the model changed: run tests/golden/model/make_golden.py again";
    if (want.has("rope_freqs")) file.add_floats("rope_freqs.weight", want.floats("rope_freqs"));
    m = model::load(file, {.rope_scaling = golden.rope_scaling});
  }
  ReferenceFile want;
  FakeGguf file;
  model::Model m;
};

}  // namespace

void expect_matches_golden(const GoldenCase& golden, model::Backend& backend,
                           model::AttentionPolicy& attention) {
  SCOPED_TRACE(golden.reference_name);
  const GoldenModel g(golden);
  const ModelRun got = run_prompt(g.m, backend, attention, g.want.integers("ids"));
  const auto expect_close = [&](std::string_view name, std::span<const float> values) {
    const Difference d = difference(values, g.want.floats(std::string(name)));
    EXPECT_LE(d.max_rel, 1e-4) << name;
    EXPECT_LE(d.nmse, 1e-9) << name;
  };
  expect_close("q", got.q);
  expect_close("k", got.k);
  expect_close("v", got.v);
  expect_close("logits", got.logits);
  const std::vector<std::int32_t>& greedy = g.want.integers("greedy");
  EXPECT_EQ(run_greedy(g.m, backend, attention, g.want.integers("ids"), greedy.size()), greedy);
}

void expect_same_greedy(const GoldenCase& golden, model::Backend& backend,
                        model::AttentionPolicy& attention) {
  SCOPED_TRACE(golden.reference_name);
  const GoldenModel g(golden);
  const std::vector<std::int32_t>& greedy = g.want.integers("greedy");
  EXPECT_EQ(run_greedy(g.m, backend, attention, g.want.integers("ids"), greedy.size(),
                       {.kv = model::KvType::kBf16}),
            greedy);
}

}  // namespace ra::test
