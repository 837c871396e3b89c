// SPDX-License-Identifier: Apache-2.0
#include "lib/model/load.h"

#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <string>

#include "kernels/quant.h"
#include "lib/core/error.h"
#include "tests/support/fake_gguf.h"

namespace ra::model {
namespace {

using test::FakeGguf;
using test::tiny_model;

// load() must refuse the file after `change`, naming `where`.
void expect_refused(const std::string& model_name, const std::string& where,
                    const std::function<void(FakeGguf&)>& change, const LoadOptions& options = {}) {
  FakeGguf file(tiny_model(model_name));
  change(file);
  try {
    load(file, options);
    ADD_FAILURE() << where << ": accepted";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Exit::kBadData) << e.what();
    EXPECT_EQ(e.text().where, where) << e.what();
    EXPECT_EQ(e.text().file, file.path().string());
    EXPECT_FALSE(e.text().why.empty());
  }
}

TEST(Load, ReadsLlama) {
  const FakeGguf file(tiny_model("llama-f32"));
  const Model m = load(file);
  const Config& c = m.config;
  EXPECT_EQ(c.architecture, "llama");
  EXPECT_EQ(c.name, "tiny random llama");
  EXPECT_EQ(c.n_layers, 2);
  EXPECT_EQ(c.n_heads, 4);
  EXPECT_EQ(c.n_kv_heads, 2);
  EXPECT_EQ(c.group(), 2);
  EXPECT_EQ(c.head_dim, 8);
  EXPECT_EQ(c.value_dim, 8);
  EXPECT_EQ(c.dim, 32);
  EXPECT_EQ(c.ffn_dim, 48);
  EXPECT_EQ(c.vocab_size, 288);
  EXPECT_EQ(c.context_length, 2048);
  EXPECT_FLOAT_EQ(c.norm_eps, 1e-5f);
  EXPECT_EQ(c.rope_style, RopeStyle::kInterleaved);
  EXPECT_EQ(c.rope_base, 100000);
  EXPECT_EQ(c.rotary_dims, 8);
  EXPECT_EQ(c.rope_scaling.type, RopeScalingType::kNone);
  EXPECT_FLOAT_EQ(c.attention_scale, 0.35355339f);
  EXPECT_FALSE(c.qkv_bias);
  EXPECT_EQ(m.inv_freq.size(), 4u);
  ASSERT_EQ(m.weights.layers.size(), 2u);
  EXPECT_FALSE(m.weights.layers[0].bq);
  EXPECT_FALSE(m.weights.rope_freqs);
  EXPECT_NE(m.weights.output.data, m.weights.token_embd.data);
  const Weight& down = m.weights.layers[1].down;
  EXPECT_EQ(down.data, file.tensor("blk.1.ffn_down.weight")->data);
  EXPECT_EQ(down.rows, 32u);
  EXPECT_EQ(down.cols, 48u);
  EXPECT_EQ(down.row_bytes, 48u * 4);
}

TEST(Load, ReadsQwen2WithBiasesAndTiedOutput) {
  const FakeGguf file(tiny_model("qwen2-f32"));
  const Model m = load(file);
  EXPECT_EQ(m.config.rope_style, RopeStyle::kHalf);
  EXPECT_TRUE(m.config.qkv_bias);
  EXPECT_EQ(m.weights.output.data, m.weights.token_embd.data);
  EXPECT_EQ(m.weights.layers[1].bk.cols, 16u);
  EXPECT_EQ(m.weights.layers[1].bk.type, kernels::Quant::kF32);
}

TEST(Load, FusedWeightsAreRowsOfOneTensor) {
  const FakeGguf file(tiny_model("phi3-f16"));
  const Model m = load(file);
  const LayerWeights& w = m.weights.layers[1];
  const gguf::Tensor& qkv = *file.tensor("blk.1.attn_qkv.weight");
  EXPECT_EQ(w.wq.data, qkv.data);
  EXPECT_EQ(w.wq.rows, 32u);
  EXPECT_EQ(w.wk.data, qkv.data + 32 * 64);
  EXPECT_EQ(w.wk.rows, 16u);
  EXPECT_EQ(w.wv.data, qkv.data + 48 * 64);
  EXPECT_EQ(w.wv.rows, 16u);
  const gguf::Tensor& up = *file.tensor("blk.1.ffn_up.weight");
  EXPECT_EQ(w.gate.data, up.data);
  EXPECT_EQ(w.up.data, up.data + 48 * 64);
  EXPECT_EQ(w.up.rows, 48u);
  expect_refused("phi3-f16", "rope_factors_long.weight", [](FakeGguf& f) {
    f.add_floats("rope_factors_long.weight", std::vector<float>(4, 1));
  });
}

TEST(Load, NormsOfHeadsAndResidualsMustBeThere) {
  for (const std::string name : {"blk.1.attn_q_norm.weight", "blk.0.attn_k_norm.weight"}) {
    expect_refused("qwen3-f16", name, [&](FakeGguf& f) { f.erase_tensor(name); });
    expect_refused("gemma3-f16", name, [&](FakeGguf& f) { f.erase_tensor(name); });
    expect_refused("llama-f32", name,
                   [&](FakeGguf& f) { f.add_floats(name, std::vector<float>(8)); });
  }
  for (const std::string name : {"blk.3.post_attention_norm.weight", "blk.5.post_ffw_norm.weight"})
    expect_refused("gemma3-f16", name, [&](FakeGguf& f) { f.erase_tensor(name); });
}

TEST(Load, LayersWithAWindowMayHaveARopeOfTheirOwn) {
  const FakeGguf file(tiny_model("gemma3-f16"));
  const Model m = load(file, {.rope_scaling = RopeScaling{RopeScalingType::kLinear, 8, {}}});
  ASSERT_EQ(m.window_inv_freq.size(), m.inv_freq.size());
  EXPECT_DOUBLE_EQ(m.inv_freq[0], 1.0 / 8);
  EXPECT_DOUBLE_EQ(m.window_inv_freq[0], 1);
  EXPECT_TRUE(load(FakeGguf(tiny_model("llama-window"))).window_inv_freq.empty());
}

TEST(Load, RowsOfBlocksHaveTheirBytes) {
  const FakeGguf file(tiny_model("llama-q4_1-q8_0"));
  const Model m = load(file);
  EXPECT_EQ(m.weights.token_embd.type, kernels::Quant::kQ8_0);
  EXPECT_EQ(m.weights.token_embd.row_bytes, 2u * 34);
  EXPECT_EQ(m.weights.layers[0].wq.row_bytes, 2u * 20);
}

TEST(Load, RefusesAnUnknownArchitectureByName) {
  expect_refused("llama-f32", "general.architecture",
                 [](FakeGguf& f) { f.set("general.architecture", std::string("mamba")); });
  FakeGguf file(tiny_model("llama-f32"));
  file.set("general.architecture", std::string("gpt-j"));
  try {
    load(file);
    FAIL();
  } catch (const Error& e) {
    EXPECT_NE(e.text().why.find("gpt-j"), std::string::npos);
    EXPECT_NE(e.text().hint.find("llama, qwen2"), std::string::npos);
  }
}

TEST(Load, RefusesAMissingTensorAndOneThatIsNotInTheGraph) {
  for (const std::string name :
       {"token_embd.weight", "output_norm.weight", "blk.1.attn_norm.weight", "blk.0.attn_q.weight",
        "blk.1.ffn_gate.weight"})
    expect_refused("llama-f32", name, [&](FakeGguf& f) { f.erase_tensor(name); });
  expect_refused("qwen2-f32", "blk.1.attn_v.bias",
                 [](FakeGguf& f) { f.erase_tensor("blk.1.attn_v.bias"); });
  // A bias in a llama file, a third layer, anything: ignored, it would give wrong numbers.
  for (const std::string name : {"blk.0.attn_q.bias", "blk.2.attn_norm.weight", "blk.0.extra"})
    expect_refused("llama-f32", name,
                   [&](FakeGguf& f) { f.add_floats(name, std::vector<float>(32)); });
}

TEST(Load, RefusesEveryTensorOfAnotherShape) {
  const FakeGguf original(tiny_model("qwen2-f32"));
  for (const gguf::Tensor& t : original.tensors()) {
    // A wrong embedding shows in the key that counts the vocabulary.
    if (t.name == "token_embd.weight") continue;
    for (std::size_t d = 0; d < t.dims.size(); ++d)
      expect_refused("qwen2-f32", t.name, [&](FakeGguf& f) { f.change(t.name).dims[d] *= 2; });
    expect_refused("qwen2-f32", t.name, [&](FakeGguf& f) {
      f.change(t.name).dims.resize(3, 1);
      f.change(t.name).dims[2] = 2;
    });
  }
  expect_refused("qwen2-f32", "token_embd.weight",
                 [](FakeGguf& f) { f.change("token_embd.weight").dims[0] = 64; });
}

TEST(Load, RefusesQuantisedVectors) {
  expect_refused("qwen2-f32", "blk.0.attn_norm.weight", [](FakeGguf& f) {
    f.change("blk.0.attn_norm.weight").type = static_cast<std::uint32_t>(kernels::Quant::kF16);
  });
}

TEST(Load, VocabularyMustBeTheRowsOfTheEmbedding) {
  expect_refused("llama-f32", "llama.vocab_size",
                 [](FakeGguf& f) { f.set("llama.vocab_size", std::int64_t{289}); });
  expect_refused("llama-f32", "tokenizer.ggml.tokens", [](FakeGguf& f) {
    f.set("tokenizer.ggml.tokens", gguf::Array(std::vector<std::string>(287, "x")));
  });
  FakeGguf file(tiny_model("llama-f32"));  // token ids can be used without any vocabulary
  file.erase("llama.vocab_size");
  file.erase("tokenizer.ggml.tokens");
  EXPECT_EQ(load(file).config.vocab_size, 288);
}

TEST(Load, RopeFreqsAreLlama3Scaling) {
  FakeGguf file(tiny_model("llama-f32"));
  file.add_floats("rope_freqs.weight", {1, 1, 2, 8});
  const Model m = load(file);
  EXPECT_EQ(m.config.rope_scaling.type, RopeScalingType::kLlama3);
  EXPECT_EQ(m.config.rope_scaling.factor, 8);
  const Model plain = load(FakeGguf(tiny_model("llama-f32")));
  EXPECT_DOUBLE_EQ(m.inv_freq[3] * 8, plain.inv_freq[3]);

  const Model overridden = load(file, {.rope_scaling = RopeScaling{}});
  EXPECT_EQ(overridden.config.rope_scaling.type, RopeScalingType::kNone);
  EXPECT_EQ(overridden.inv_freq, plain.inv_freq);

  const std::string name = "rope_freqs.weight";
  expect_refused("llama-f32", name, [&](FakeGguf& f) { f.add_floats(name, {1, 1, 1}); });
  for (const float bad :
       {0.f, -1.f, std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()})
    expect_refused("llama-f32", name, [&](FakeGguf& f) { f.add_floats(name, {1, bad, 1, 1}); });
  expect_refused("llama-f32", name, [&](FakeGguf& f) {
    f.add_floats(name, {1, 1, 1, 1});
    f.set("llama.rope.scaling.type", std::string("linear"));
    f.set("llama.rope.scaling.factor", 2.0);
  });
}

}  // namespace
}  // namespace ra::model
