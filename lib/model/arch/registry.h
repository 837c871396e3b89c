// SPDX-License-Identifier: Apache-2.0
// The supported architectures: what differs between families that share one forward pass. A new
// family is one file with one Architecture and one row in registry.cc.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "lib/model/config.h"

namespace ra::model {

struct Architecture {
  std::string_view name;  // GGUF general.architecture, and the prefix of the file's own keys
  RopeStyle rope_style = RopeStyle::kHalf;
  bool qkv_bias = false;   // blk.N.attn_{q,k,v}.bias must be there; otherwise they must not
  bool qk_norm = false;    // and so blk.N.attn_{q,k}_norm.weight
  bool post_norm = false;  // and blk.N.post_attention_norm.weight, post_ffw_norm.weight
  // One attn_qkv.weight for attn_{q,k,v}, and ffn_up.weight holds the gate's rows before its own.
  bool fused_weights = false;
  Activation activation = Activation::kSilu;
  bool scaled_embedding = false;  // by sqrt(embedding_length)
  // Which layers have the window of attention.sliding_window: 0 none (the key is refused), 1 all,
  // n all but each n-th.
  int window_period = 0;
  std::optional<double> window_rope_base;  // of those layers, if it is not rope.freq_base
  // The model with this many layers scales scores by sqrt(heads / width) instead of
  // 1 / sqrt(head_dim); 0 = none.
  int width_scaled_layers = 0;
};

std::span<const Architecture* const> architectures();
const Architecture* find_architecture(std::string_view name);  // nullptr if not supported
std::string architecture_names();                              // "llama, qwen2, ...", for messages

}  // namespace ra::model
