// SPDX-License-Identifier: Apache-2.0
// Real weights and real text against `transformers` in f32 (experiments/parity). The model must be
// in the cache; the test says so and skips where it is not.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "kernels/level.h"
#include "lib/gguf/reader.h"
#include "lib/model/cpu_backend.h"
#include "lib/model/decoder.h"
#include "lib/model/exact_attention.h"
#include "lib/model/load.h"
#include "lib/model/sampler.h"
#include "tests/support/reference_file.h"

namespace ra::model {
namespace {

std::filesystem::path cached_model(const std::string& name) {
  const auto variable = [](const char* v) {
    const char* value = std::getenv(v);
    return std::filesystem::path(value == nullptr ? "" : value);
  };
  std::filesystem::path cache = variable("RA_CACHE_DIR");
  if (cache.empty()) {
    cache = variable("XDG_CACHE_HOME");
    if (cache.empty()) cache = variable("HOME") / ".cache";
    cache /= "retrieval-attention";
  }
  return cache / "models" / (name + ".gguf");
}

// Keeps the rows at the reference's positions, in the order [layer, position, width].
class PositionSink : public QkvSink {
 public:
  PositionSink(std::vector<std::int32_t> positions, std::size_t layers)
      : positions_(std::move(positions)), layers_(layers) {}

  void on_qkv(const QkvView& view) override {
    keep(view, view.q, q);
    keep(view, view.k, k);
    keep(view, view.v, v);
  }
  std::vector<float> q, k, v;

 private:
  void keep(const QkvView& view, MatView<const float> x, std::vector<float>& out) const {
    out.resize(layers_ * positions_.size() * x.cols);
    for (std::size_t i = 0; i < positions_.size(); ++i) {
      const std::int64_t row = positions_[i] - view.pos;
      if (row < 0 || row >= static_cast<std::int64_t>(x.rows)) continue;
      const std::size_t at = static_cast<std::size_t>(view.layer) * positions_.size() + i;
      std::copy_n(x.row(static_cast<std::size_t>(row)), x.cols, out.data() + at * x.cols);
    }
  }
  std::vector<std::int32_t> positions_;
  std::size_t layers_;
};

double cosine(const float* a, const float* b, std::size_t n) {
  double ab = 0, aa = 0, bb = 0;
  for (std::size_t i = 0; i < n; ++i) {
    ab += static_cast<double>(a[i]) * static_cast<double>(b[i]);
    aa += static_cast<double>(a[i]) * static_cast<double>(a[i]);
    bb += static_cast<double>(b[i]) * static_cast<double>(b[i]);
  }
  return ab / std::sqrt(aa * bb);
}

// The smallest cosine over all heads, positions and layers, one vector at a time.
double smallest_cosine(const std::vector<float>& got, const std::vector<float>& want,
                       std::size_t dim) {
  EXPECT_EQ(got.size(), want.size());
  double low = 1;
  for (std::size_t i = 0; i + dim <= std::min(got.size(), want.size()); i += dim) {
    const double c = cosine(&got[i], &want[i], dim);
    low = c <= low ? c : std::isnan(c) ? -1 : low;
  }
  return low;
}

struct Figures {
  double mean_abs = 0, shift = 0, max_abs = 0;  // of NLL per token, in nats
  double same_top1 = 0;
  double cosine_q = 1, cosine_k = 1, cosine_v = 1;
};

// The first `ids.size() - stepped` tokens are prefilled in chunks, the rest go one by one, and only
// those count if there are any.
Figures compare(const Model& m, const test::ReferenceFile& want, Compute compute, KvType kv,
                std::size_t stepped = 0) {
  const std::vector<std::int32_t>& ids = want.integers("ids");
  const Config& c = m.config;
  CpuBackend backend(compute);
  ExactAttention attention(compute);
  KvCache cache({.layers = c.n_layers,
                 .kv_heads = c.n_kv_heads,
                 .head_dim = c.head_dim,
                 .value_dim = c.value_dim,
                 .capacity = static_cast<std::int64_t>(ids.size()),
                 .type = kv});
  Decoder decoder(m, backend, cache, attention, {.chunk = 256});
  PositionSink sink(want.integers("positions"), static_cast<std::size_t>(c.n_layers));
  decoder.set_sink(&sink);

  Figures f;
  std::size_t counted = 0;
  const auto count = [&](std::size_t t, std::span<const float> logits) {
    f.same_top1 += sample(logits, {}, 0) == want.integers("top1")[t] ? 1 : 0;
    ++counted;
    if (t + 1 == ids.size()) return;
    const double delta = nll(logits, ids[t + 1]) - static_cast<double>(want.floats("nll")[t]);
    f.mean_abs += std::abs(delta);
    f.shift += delta;
    f.max_abs = std::max(f.max_abs, std::abs(delta));
  };
  const std::size_t prefilled = ids.size() - stepped;
  const Decoder::OnLogits on_logits = [&](std::int64_t pos, MatView<const float> logits) {
    for (std::size_t r = 0; r < logits.rows; ++r)
      count(static_cast<std::size_t>(pos) + r, {logits.row(r), logits.cols});
  };
  decoder.prefill(std::span(ids).first(prefilled), stepped == 0 ? on_logits : Decoder::OnLogits{});
  for (std::size_t t = prefilled; t < ids.size(); ++t) count(t, decoder.step(ids[t]));
  f.same_top1 /= static_cast<double>(counted);
  f.mean_abs /= static_cast<double>(counted - 1);  // the last token has no next one
  f.shift /= static_cast<double>(counted - 1);
  const auto dim = static_cast<std::size_t>(c.head_dim);
  f.cosine_q = smallest_cosine(sink.q, want.floats("q"), dim);
  f.cosine_k = smallest_cosine(sink.k, want.floats("k"), dim);
  f.cosine_v = smallest_cosine(sink.v, want.floats("v"), static_cast<std::size_t>(c.value_dim));
  return f;
}

void print(const std::string& model, const char* path, const Figures& f) {
  fmt::print(stderr,
             "parity {} {} ({}): mean|dNLL| {:.6f}, shift {:+.6f}, max|dNLL| {:.4f}, same top-1 "
             "{:.4f}, smallest 1-cosine q {:.1e} k {:.1e} v {:.1e}\n",
             model, path, kernels::level_name(kernels::active_level()), f.mean_abs, f.shift,
             f.max_abs, f.same_top1, 1 - f.cosine_q, 1 - f.cosine_k, 1 - f.cosine_v);
}

class Parity : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    const std::string name = GetParam();
    const std::filesystem::path path = cached_model(name);
    if (!std::filesystem::exists(path)) GTEST_SKIP() << "no " << path << ": datasets/fetch gets it";
    want = std::make_unique<test::ReferenceFile>("tests/golden/parity/" + name + ".ref");
    file = gguf::File::open(path);
    ASSERT_EQ(file->sha256(), want->header().at("model_sha256"))
        << "another model than the reference's";
    m = load(*file);
  }
  std::unique_ptr<test::ReferenceFile> want;
  std::unique_ptr<gguf::File> file;
  Model m;
};

TEST_P(Parity, F32PathEqualsTransformers) {
  const Figures f = compare(m, *want, Compute::kF32, KvType::kF32);
  print(GetParam(), "f32", f);
  EXPECT_LE(f.mean_abs, 0.001);
  EXPECT_GE(f.same_top1, 0.999);
  EXPECT_GE(f.cosine_q, 0.9999);
  EXPECT_GE(f.cosine_k, 0.9999);
  EXPECT_GE(f.cosine_v, 0.9999);
}

TEST_P(Parity, FastPathStaysClose) {
  const Figures f = compare(m, *want, Compute::kAuto, KvType::kBf16);
  print(GetParam(), "fast", f);
  EXPECT_LE(f.mean_abs, 0.025);
  EXPECT_LE(std::abs(f.shift), 0.003);
}

// Decode multiplies 16-bit activations with the quantised weights; the bf16 cache is what is left.
TEST_P(Parity, FastDecodeStaysClose) {
  const Figures f = compare(m, *want, Compute::kAuto, KvType::kBf16, 256);
  print(GetParam(), "fast, token by token", f);
  EXPECT_LE(f.mean_abs, 0.025);
  EXPECT_LE(std::abs(f.shift), 0.003);
}

INSTANTIATE_TEST_SUITE_P(Model, Parity, testing::Values("smollm2", "qwen", "gemma3"),
                         [](const auto& test) { return std::string(test.param); });

}  // namespace
}  // namespace ra::model
