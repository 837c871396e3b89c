// SPDX-License-Identifier: Apache-2.0
// What a decoder needs to know of a model beside its weights.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kernels/activation.h"

namespace ra::model {

enum class RopeStyle : std::uint8_t { kInterleaved, kHalf, kNone };
enum class RopeScalingType : std::uint8_t { kNone, kLinear, kYarn, kLlama3 };
using kernels::Activation;  // kSilu, kGelu: of the feed-forward gate

struct RopeScaling {
  RopeScalingType type = RopeScalingType::kNone;
  double factor = 1;
  std::optional<std::int64_t> original_context;
};

struct Config {
  std::string architecture, name;  // general.architecture, general.name
  int n_layers = 0, n_heads = 0, n_kv_heads = 0;
  int head_dim = 0, value_dim = 0, dim = 0, ffn_dim = 0, vocab_size = 0;
  std::int64_t context_length = 0;
  float norm_eps = 1e-5f;
  RopeStyle rope_style = RopeStyle::kHalf;
  double rope_base = 10000;
  int rotary_dims = 0;
  RopeScaling rope_scaling;
  float attention_scale = 0;  // 1/sqrt(head_dim) unless the architecture says otherwise
  // Per layer, how many keys a query attends to, its own included; 0 = all. Empty: 0 everywhere.
  std::vector<std::int64_t> windows;
  // RoPE base of the layers with a window, which rope_scaling then leaves alone; absent: rope_base.
  std::optional<double> window_rope_base;
  float embedding_scale = 1;
  Activation activation = Activation::kSilu;
  bool qkv_bias = false;
  bool qk_norm = false;    // RMS norm of each query and key head before RoPE
  bool post_norm = false;  // RMS norm of what attention and feed-forward add to the residual stream

  int group() const { return n_heads / n_kv_heads; }  // query heads per KV head
  std::int64_t window(int layer) const {
    return windows.empty() ? 0 : windows[static_cast<std::size_t>(layer)];
  }
  int full_layers() const {  // those without a window
    int n = n_layers;
    for (const std::int64_t w : windows) n -= w > 0 ? 1 : 0;
    return n;
  }
  bool has_own_rope(int layer) const { return window_rope_base && window(layer) > 0; }
};

}  // namespace ra::model
