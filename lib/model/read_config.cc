// SPDX-License-Identifier: Apache-2.0
#include "lib/model/read_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/core/error.h"

namespace ra::model {
namespace {

constexpr std::int64_t kMaxCount = 1024;                   // layers, heads, head dimension
constexpr std::int64_t kMaxWidth = std::int64_t{1} << 24;  // model and feed-forward width
constexpr std::int64_t kMaxContext = std::int64_t{1} << 40;

// Look-ups under the prefix of the architecture, with the bounds in the message.
class Keys {
 public:
  Keys(const gguf::File& file, std::string_view prefix) : file_(file), prefix_(prefix) {}

  std::string name(std::string_view key) const { return fmt::format("{}.{}", prefix_, key); }

  [[noreturn]] void fail(std::string_view key, std::string why, std::string hint = "") const {
    fail_bad_data({.what = "bad model",
                   .file = file_.path().string(),
                   .where = name(key),
                   .why = std::move(why),
                   .hint = std::move(hint)});
  }

  std::int64_t in_range(std::string_view key, std::int64_t value, std::int64_t low,
                        std::int64_t high) const {
    if (value < low || value > high)
      fail(key, fmt::format("{} is not in {}..{}", value, low, high));
    return value;
  }

  std::int64_t count(std::string_view key, std::int64_t high) const {
    return in_range(key, file_.require_integer(name(key)), 1, high);
  }
  std::int64_t count_or(std::string_view key, std::int64_t fallback, std::int64_t high) const {
    return in_range(key, file_.integer(name(key)).value_or(fallback), 1, high);
  }

  // One number for all layers, or an array with one entry per layer that must all agree.
  std::optional<std::int64_t> per_layer(std::string_view key, int n_layers,
                                        std::int64_t high) const {
    const gguf::Value* value = file_.find(name(key));
    if (value == nullptr) return std::nullopt;
    if (!std::holds_alternative<gguf::Array>(*value))
      return in_range(key, *file_.integer(name(key)), 1, high);
    const auto* entries = std::get_if<std::vector<std::int64_t>>(&std::get<gguf::Array>(*value));
    if (entries == nullptr) fail(key, "an array of another type than integers");
    if (entries->size() != static_cast<std::size_t>(n_layers))
      fail(key, fmt::format("{} entries for {} layers", entries->size(), n_layers));
    for (const std::int64_t entry : *entries) {
      in_range(key, entry, 1, high);
      if (entry != entries->front())
        fail(key, fmt::format("layers differ ({} and {}): not supported", entries->front(), entry));
    }
    return entries->front();
  }
  std::int64_t require_per_layer(std::string_view key, int n_layers, std::int64_t high) const {
    const auto value = per_layer(key, n_layers, high);
    if (!value) fail(key, "missing key");
    return *value;
  }

  double positive(std::string_view key, double value) const {
    if (!std::isfinite(value) || value <= 0)
      fail(key, fmt::format("{} is not finite and > 0", value));
    return value;
  }

  std::optional<double> number(std::string_view key) const { return file_.number(name(key)); }
  std::optional<std::int64_t> integer(std::string_view key) const {
    return file_.integer(name(key));
  }
  std::optional<std::string> string(std::string_view key) const { return file_.string(name(key)); }

 private:
  const gguf::File& file_;
  std::string prefix_;
};

void check_override(const RopeScaling& s) {
  const double low = s.type == RopeScalingType::kYarn ? 1 : 0;
  if (s.type != RopeScalingType::kNone &&
      !(std::isfinite(s.factor) && s.factor > 0 && s.factor >= low))
    fail_usage("--rope-scale", fmt::format("factor {} is not finite and {}", s.factor,
                                           low > 0 ? ">= 1, as yarn needs" : "> 0"));
}

// A factor without a type means linear, as older converters wrote it.
RopeScaling file_scaling(const Keys& keys) {
  RopeScaling s;
  auto factor = keys.number("rope.scaling.factor");
  if (!factor) factor = keys.number("rope.scale_linear");
  const std::string type =
      keys.string("rope.scaling.type").value_or(factor.value_or(1) != 1 ? "linear" : "none");
  if (type == "none") return s;
  if (type == "linear") {
    s.type = RopeScalingType::kLinear;
  } else if (type == "yarn") {
    s.type = RopeScalingType::kYarn;
  } else {
    keys.fail("rope.scaling.type", fmt::format("'{}' is not supported", type),
              "supported: none, linear, yarn");
  }
  s.factor = keys.positive("rope.scaling.factor", factor.value_or(1));
  if (s.type == RopeScalingType::kYarn && s.factor < 1)
    keys.fail("rope.scaling.factor", fmt::format("{} is below 1 with yarn", s.factor));
  s.original_context = keys.integer("rope.scaling.original_context_length");
  // What converters may add to yarn, and the values that rope.h has built in.
  constexpr std::pair<std::string_view, double> kFixed[] = {
      {"attn_factor", 1}, {"yarn_attn_factor", 1}, {"yarn_beta_fast", 32}, {"yarn_beta_slow", 1}};
  for (const auto& [name, value] : kFixed) {
    const std::string key = fmt::format("rope.scaling.{}", name);
    if (keys.number(key).value_or(value) != value)
      keys.fail(key, fmt::format("a value other than {} is not supported", value));
  }
  return s;
}

RopeScaling effective_scaling(const Keys& keys, const LoadOptions& options,
                              std::int64_t context_length) {
  if (options.rope_scaling) check_override(*options.rope_scaling);
  RopeScaling s = options.rope_scaling ? *options.rope_scaling : file_scaling(keys);
  if (s.type != RopeScalingType::kYarn) return s;
  if (!s.original_context)
    s.original_context = keys.integer("rope.scaling.original_context_length");
  if (!s.original_context) s.original_context = context_length;
  keys.in_range("rope.scaling.original_context_length", *s.original_context, 1, kMaxContext);
  return s;
}

void read_attention(const Keys& keys, const Architecture& arch, Config& c) {
  c.n_heads =
      static_cast<int>(keys.require_per_layer("attention.head_count", c.n_layers, kMaxCount));
  c.n_kv_heads = static_cast<int>(
      keys.per_layer("attention.head_count_kv", c.n_layers, kMaxCount).value_or(c.n_heads));
  if (c.n_heads % c.n_kv_heads != 0)
    keys.fail(
        "attention.head_count_kv",
        fmt::format("{} query heads are no multiple of {} KV heads", c.n_heads, c.n_kv_heads));
  if (!keys.integer("attention.key_length") && c.dim % c.n_heads != 0)
    keys.fail("attention.head_count",
              fmt::format("width {} is no multiple of {} heads", c.dim, c.n_heads));
  const int share = c.dim / c.n_heads;
  c.head_dim = static_cast<int>(keys.count_or("attention.key_length", share, kMaxCount));
  c.value_dim = static_cast<int>(keys.count_or("attention.value_length", share, kMaxCount));
  c.attention_scale = c.n_layers == arch.width_scaled_layers
                          ? std::sqrt(static_cast<float>(c.n_heads) / static_cast<float>(c.dim))
                          : 1 / std::sqrt(static_cast<float>(c.head_dim));
  for (const std::string_view cap : {"attn_logit_softcapping", "final_logit_softcapping"})
    if (keys.number(cap).value_or(0) != 0) keys.fail(cap, "capped logits are not supported");
}

void read_windows(const Keys& keys, const Architecture& arch, Config& c) {
  constexpr std::string_view kWindow = "attention.sliding_window";
  constexpr std::string_view kPeriod = "attention.sliding_window_pattern";
  const std::int64_t window =
      keys.in_range(kWindow, keys.integer(kWindow).value_or(0), 0, kMaxContext);
  c.windows.assign(static_cast<std::size_t>(c.n_layers), 0);
  if (window == 0) return;
  if (arch.window_period == 0 && window < c.context_length)
    keys.fail(kWindow, fmt::format("a window of {} tokens in a context of {} is not supported",
                                   window, c.context_length));
  const std::int64_t period =
      keys.in_range(kPeriod, keys.integer(kPeriod).value_or(arch.window_period), 0, kMaxCount);
  for (int layer = 0; layer < c.n_layers; ++layer)
    if (period == 1 || (period > 1 && (layer + 1) % period != 0))
      c.windows[static_cast<std::size_t>(layer)] = window;
}

void read_rope(const Keys& keys, const Architecture& arch, const LoadOptions& options, Config& c) {
  c.rope_style = arch.rope_style;
  c.rotary_dims = static_cast<int>(keys.count_or("rope.dimension_count", c.head_dim, c.head_dim));
  if (c.rotary_dims % 2 != 0)
    keys.fail("rope.dimension_count", fmt::format("{} is odd", c.rotary_dims));
  c.rope_base = keys.positive("rope.freq_base", keys.number("rope.freq_base").value_or(10000));
  if (arch.window_rope_base)
    c.window_rope_base = keys.positive(
        "rope.freq_base_swa", keys.number("rope.freq_base_swa").value_or(*arch.window_rope_base));
  c.rope_scaling = effective_scaling(keys, options, c.context_length);
  if (c.rope_scaling.type == RopeScalingType::kYarn && c.rope_base == 1)
    keys.fail("rope.freq_base", "1 leaves yarn without a scale of frequencies");
}

// In bytes of f32, the widest element a cache holds.
void check_kv_size(const Keys& keys, const Config& c) {
  std::int64_t bytes = static_cast<std::int64_t>(c.head_dim + c.value_dim) * 4;
  if (__builtin_mul_overflow(bytes, static_cast<std::int64_t>(c.n_layers) * c.n_kv_heads, &bytes) ||
      __builtin_mul_overflow(bytes, c.context_length, &bytes))
    keys.fail("context_length",
              fmt::format("the KV cache of {} positions overflows", c.context_length));
}

}  // namespace

Config read_config(const gguf::File& file, const Architecture& arch, const LoadOptions& options) {
  const Keys keys(file, arch.name);
  Config c;
  c.architecture = arch.name;
  c.name = file.string("general.name").value_or("");
  c.n_layers = static_cast<int>(keys.count("block_count", kMaxCount));
  c.context_length = keys.count("context_length", kMaxContext);
  c.dim = static_cast<int>(keys.count("embedding_length", kMaxWidth));
  c.ffn_dim =
      static_cast<int>(keys.require_per_layer("feed_forward_length", c.n_layers, kMaxWidth));
  if (const auto experts = keys.integer("expert_count").value_or(0); experts != 0)
    keys.fail("expert_count", fmt::format("{} experts: mixtures are not supported", experts));

  const double eps = file.require_number(keys.name("attention.layer_norm_rms_epsilon"));
  if (!(eps > 0 && eps < 1))
    keys.fail("attention.layer_norm_rms_epsilon", fmt::format("{} is not in (0, 1)", eps));
  c.norm_eps = static_cast<float>(eps);

  read_attention(keys, arch, c);
  read_windows(keys, arch, c);
  read_rope(keys, arch, options, c);
  c.qkv_bias = arch.qkv_bias;
  c.qk_norm = arch.qk_norm;
  c.post_norm = arch.post_norm;
  c.activation = arch.activation;
  if (arch.scaled_embedding) c.embedding_scale = std::sqrt(static_cast<float>(c.dim));
  check_kv_size(keys, c);
  return c;
}

}  // namespace ra::model
