// SPDX-License-Identifier: Apache-2.0
#include "lib/model/arch/registry.h"

#include <array>

namespace ra::model {

extern const Architecture kLlama;   // llama.cc
extern const Architecture kQwen2;   // qwen2.cc
extern const Architecture kQwen3;   // qwen3.cc
extern const Architecture kGemma3;  // gemma3.cc
extern const Architecture kPhi3;    // phi3.cc

namespace {
constexpr std::array<const Architecture*, 5> kArchitectures{
    &kLlama, &kQwen2, &kQwen3, &kGemma3, &kPhi3,
};
}  // namespace

std::span<const Architecture* const> architectures() { return kArchitectures; }

const Architecture* find_architecture(std::string_view name) {
  for (const Architecture* a : kArchitectures)
    if (a->name == name) return a;
  return nullptr;
}

std::string architecture_names() {
  std::string names;
  for (const Architecture* a : kArchitectures)
    names.append(names.empty() ? "" : ", ").append(a->name);
  return names;
}

}  // namespace ra::model
