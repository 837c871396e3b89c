// SPDX-License-Identifier: Apache-2.0
// What a decoder needs to know of a model beside its weights.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace ra::model {

enum class RopeStyle : std::uint8_t { kInterleaved, kHalf, kNone };
enum class RopeScalingType : std::uint8_t { kNone, kLinear, kYarn, kLlama3 };

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
  bool qkv_bias = false;

  int group() const { return n_heads / n_kv_heads; }  // query heads per KV head
};

}  // namespace ra::model
