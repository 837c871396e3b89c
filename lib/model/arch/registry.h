// SPDX-License-Identifier: Apache-2.0
// The supported architectures: what differs between families that share one forward pass. A new
// family is one file with one Architecture and one row in registry.cc.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "lib/model/config.h"

namespace ra::model {

struct Architecture {
  std::string_view name;  // GGUF general.architecture, and the prefix of the file's own keys
  RopeStyle rope_style = RopeStyle::kHalf;
  bool qkv_bias = false;  // blk.N.attn_{q,k,v}.bias must be there; otherwise they must not
};

std::span<const Architecture* const> architectures();
const Architecture* find_architecture(std::string_view name);  // nullptr if not supported
std::string architecture_names();                              // "llama, qwen2", for messages

}  // namespace ra::model
