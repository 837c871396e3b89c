// SPDX-License-Identifier: Apache-2.0
#include "lib/model/load.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "kernels/quant.h"
#include "lib/core/error.h"
#include "lib/model/arch/registry.h"
#include "lib/model/read_config.h"
#include "lib/model/rope.h"

namespace ra::model {
namespace {

// Binds tensors by name to the shape the graph expects, and knows at the end which ones were left.
class Tensors {
 public:
  explicit Tensors(const gguf::File& file) : file_(file) {}

  bool has(std::string_view name) const { return file_.tensor(name) != nullptr; }

  // [rows, cols] of any weight format.
  Weight matrix(const std::string& name, std::int64_t rows, std::int64_t cols) {
    const gguf::Tensor& t = require(name);
    if (t.dims.size() > 2 || t.cols() != static_cast<std::uint64_t>(cols) ||
        t.rows() != static_cast<std::uint64_t>(rows))
      fail(name, fmt::format("shape [{}], expected [{}, {}]", fmt::join(t.dims, ", "), cols, rows));
    return view(t);
  }

  // [n] in f32: gains, biases and frequencies are never quantised.
  Weight vector(const std::string& name, std::int64_t n) {
    const gguf::Tensor& t = require(name);
    if (t.cols() != static_cast<std::uint64_t>(n) || t.rows() != 1)
      fail(name, fmt::format("shape [{}], expected [{}]", fmt::join(t.dims, ", "), n));
    const Weight w = view(t);
    if (w.type != kernels::Quant::kF32)
      fail(name, fmt::format("type {}, expected F32", kernels::quant_info(w.type).name));
    return w;
  }

  // A tensor nobody asked for is part of another graph: leaving it out would compute nonsense.
  void check_all_used() const {
    for (const gguf::Tensor& t : file_.tensors())
      if (!used_.contains(t.name)) fail(t.name, "the architecture has no such tensor");
  }

  [[noreturn]] void fail(std::string_view name, std::string why, std::string hint = "") const {
    fail_bad_data({.what = "bad tensor",
                   .file = file_.path().string(),
                   .where = std::string(name),
                   .why = std::move(why),
                   .hint = std::move(hint)});
  }

 private:
  const gguf::Tensor& require(const std::string& name) {
    const gguf::Tensor* t = file_.tensor(name);
    if (t == nullptr) fail(name, "missing", "incomplete or unsupported model");
    used_.insert(name);
    return *t;
  }

  static Weight view(const gguf::Tensor& t) {
    const kernels::QuantInfo* q = kernels::find_quant(t.type);
    RA_CHECK(q != nullptr && t.cols() % q->block == 0);  // the reader's promise
    return {.type = q->id,
            .data = t.data,
            .rows = static_cast<std::size_t>(t.rows()),
            .cols = static_cast<std::size_t>(t.cols()),
            .row_bytes = static_cast<std::size_t>(t.cols()) / q->block * q->block_bytes};
  }

  const gguf::File& file_;
  std::unordered_set<std::string> used_;
};

std::span<const float> floats(const Weight& w) {
  return {reinterpret_cast<const float*>(w.data), w.cols};
}

LayerWeights bind_layer(Tensors& tensors, const Architecture& arch, const Config& c, int layer) {
  const auto name = [&](std::string_view part) { return fmt::format("blk.{}.{}", layer, part); };
  const std::int64_t q_dim = std::int64_t{c.n_heads} * c.head_dim;
  const std::int64_t k_dim = std::int64_t{c.n_kv_heads} * c.head_dim;
  const std::int64_t v_dim = std::int64_t{c.n_kv_heads} * c.value_dim;
  LayerWeights w;
  w.attn_norm = tensors.vector(name("attn_norm.weight"), c.dim);
  if (arch.fused_weights) {
    const Weight qkv = tensors.matrix(name("attn_qkv.weight"), q_dim + k_dim + v_dim, c.dim);
    const auto q = static_cast<std::size_t>(q_dim), k = static_cast<std::size_t>(k_dim);
    w.wq = qkv.row_range(0, q);
    w.wk = qkv.row_range(q, k);
    w.wv = qkv.row_range(q + k, static_cast<std::size_t>(v_dim));
  } else {
    w.wq = tensors.matrix(name("attn_q.weight"), q_dim, c.dim);
    w.wk = tensors.matrix(name("attn_k.weight"), k_dim, c.dim);
    w.wv = tensors.matrix(name("attn_v.weight"), v_dim, c.dim);
  }
  if (c.qkv_bias) {
    w.bq = tensors.vector(name("attn_q.bias"), q_dim);
    w.bk = tensors.vector(name("attn_k.bias"), k_dim);
    w.bv = tensors.vector(name("attn_v.bias"), v_dim);
  }
  if (c.qk_norm) {
    w.q_norm = tensors.vector(name("attn_q_norm.weight"), c.head_dim);
    w.k_norm = tensors.vector(name("attn_k_norm.weight"), c.head_dim);
  }
  if (c.post_norm) {
    w.attn_post_norm = tensors.vector(name("post_attention_norm.weight"), c.dim);
    w.ffn_post_norm = tensors.vector(name("post_ffw_norm.weight"), c.dim);
  }
  w.wo = tensors.matrix(name("attn_output.weight"), c.dim, std::int64_t{c.n_heads} * c.value_dim);
  w.ffn_norm = tensors.vector(name("ffn_norm.weight"), c.dim);
  if (arch.fused_weights) {
    const auto rows = static_cast<std::size_t>(c.ffn_dim);
    const Weight both = tensors.matrix(name("ffn_up.weight"), 2 * std::int64_t{c.ffn_dim}, c.dim);
    w.gate = both.row_range(0, rows);
    w.up = both.row_range(rows, rows);
  } else {
    w.gate = tensors.matrix(name("ffn_gate.weight"), c.ffn_dim, c.dim);
    w.up = tensors.matrix(name("ffn_up.weight"), c.ffn_dim, c.dim);
  }
  w.down = tensors.matrix(name("ffn_down.weight"), c.dim, c.ffn_dim);
  return w;
}

// The embedding's rows are the vocabulary; the keys that also say its size must agree.
int vocabulary_size(const gguf::File& file, const Tensors& tensors, const Config& c) {
  constexpr std::string_view kTable = "token_embd.weight";
  const gguf::Tensor* table = file.tensor(kTable);
  if (table == nullptr) tensors.fail(kTable, "missing", "incomplete or unsupported model");
  const std::uint64_t rows = table->rows();
  if (rows < 1 || rows > (std::uint64_t{1} << 30))
    tensors.fail(kTable, fmt::format("{} rows are not in 1..2^30", rows));
  const auto agree = [&](const std::string& key, std::uint64_t n) {
    if (n != rows)
      fail_bad_data({.what = "bad model",
                     .file = file.path().string(),
                     .where = key,
                     .why = fmt::format("{} tokens, but the embedding has {} rows", n, rows)});
  };
  const std::string size_key = c.architecture + ".vocab_size";
  if (const auto n = file.integer(size_key)) agree(size_key, static_cast<std::uint64_t>(*n));
  if (const auto* tokens = file.array<std::string>("tokenizer.ggml.tokens"))
    agree("tokenizer.ggml.tokens", tokens->size());
  return static_cast<int>(rows);
}

// rope_freqs.weight is Llama 3's scaling, and gives way to an override like any other.
void bind_rope_freqs(Tensors& tensors, const LoadOptions& options, Model& m) {
  constexpr auto kName = "rope_freqs.weight";
  if (!tensors.has(kName)) return;
  m.weights.rope_freqs = tensors.vector(kName, m.config.rotary_dims / 2);
  const std::span<const float> divisors = floats(m.weights.rope_freqs);
  for (const float d : divisors)
    if (!std::isfinite(d) || d <= 0)
      tensors.fail(kName, fmt::format("divisor {} is not finite and > 0", d));
  if (options.rope_scaling) return;
  if (m.config.rope_scaling.type != RopeScalingType::kNone)
    tensors.fail(kName, "frequency divisors beside another RoPE scaling are not supported");
  m.config.rope_scaling.type = RopeScalingType::kLlama3;
  m.config.rope_scaling.factor =
      static_cast<double>(*std::max_element(divisors.begin(), divisors.end()));
}

}  // namespace

Model load(const gguf::File& file, const LoadOptions& options) {
  const std::string name = file.require_string("general.architecture");
  const Architecture* arch = find_architecture(name);
  if (arch == nullptr)
    fail_bad_data({.what = "unsupported model",
                   .file = file.path().string(),
                   .where = "general.architecture",
                   .why = fmt::format("'{}' is not supported", name),
                   .hint = fmt::format("supported: {}", architecture_names())});
  Model m;
  m.file = file.path();
  Tensors tensors(file);
  Config& c = m.config;
  c = read_config(file, *arch, options);
  c.vocab_size = vocabulary_size(file, tensors, c);

  Weights& w = m.weights;
  w.token_embd = tensors.matrix("token_embd.weight", c.vocab_size, c.dim);
  for (int layer = 0; layer < c.n_layers; ++layer)
    w.layers.push_back(bind_layer(tensors, *arch, c, layer));
  w.output_norm = tensors.vector("output_norm.weight", c.dim);
  w.output = tensors.has("output.weight") ? tensors.matrix("output.weight", c.vocab_size, c.dim)
                                          : w.token_embd;
  bind_rope_freqs(tensors, options, m);
  tensors.check_all_used();

  RotaryFrequencies rotary = rotary_frequencies(c.rope_base, c.rotary_dims, c.rope_scaling,
                                                c.rope_scaling.type == RopeScalingType::kLlama3
                                                    ? floats(w.rope_freqs)
                                                    : std::span<const float>{});
  m.inv_freq = std::move(rotary.inv_freq);
  m.rope_magnitude = rotary.magnitude;
  if (c.window_rope_base)
    m.window_inv_freq = rotary_frequencies(*c.window_rope_base, c.rotary_dims, {}).inv_freq;
  return m;
}

}  // namespace ra::model
