// SPDX-License-Identifier: Apache-2.0
#include "lib/gguf/tensor_types.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "kernels/quant.h"

namespace ra::gguf {
namespace {

enum class Status : std::uint8_t { kUnsupported, kMemoryOnly, kRemoved };
struct KnownType {
  std::uint32_t id;
  std::string_view name;
  Status status = Status::kUnsupported;
};

// Types that have a row in kernels/quant.h are never looked up here.
constexpr KnownType kKnown[] = {
    {4, "Q4_2", Status::kRemoved},
    {5, "Q4_3", Status::kRemoved},
    {9, "Q8_1", Status::kMemoryOnly},
    {15, "Q8_K", Status::kMemoryOnly},
    {16, "IQ2_XXS"},
    {17, "IQ2_XS"},
    {18, "IQ3_XXS"},
    {19, "IQ1_S"},
    {20, "IQ4_NL"},
    {21, "IQ3_S"},
    {22, "IQ2_S"},
    {23, "IQ4_XS"},
    {24, "I8"},
    {25, "I16"},
    {26, "I32"},
    {27, "I64"},
    {28, "F64"},
    {29, "IQ1_M"},
    {31, "Q4_0_4_4", Status::kRemoved},
    {32, "Q4_0_4_8", Status::kRemoved},
    {33, "Q4_0_8_8", Status::kRemoved},
    {34, "TQ1_0"},
    {35, "TQ2_0"},
    {36, "IQ4_NL_4_4", Status::kRemoved},
    {37, "IQ4_NL_4_8", Status::kRemoved},
    {38, "IQ4_NL_8_8", Status::kRemoved},
    {39, "MXFP4"},
    {40, "NVFP4"},
    {41, "Q1_0"},
    {42, "Q2_0"},
};

}  // namespace

std::string refusal(std::uint32_t id) {
  const auto* type = std::ranges::find(kKnown, id, &KnownType::id);
  if (type == std::end(kKnown)) return fmt::format("type id {} is unknown", id);
  constexpr std::string_view kWhy[] = {"is not supported", "exists in memory only, never in a file",
                                       "was removed from GGUF"};
  return fmt::format("type {} (id {}) {}", type->name, id,
                     kWhy[static_cast<std::size_t>(type->status)]);
}

std::string supported_types() {
  std::string out;
  for (const auto& quant : kernels::all_quants())
    out += fmt::format("{}{}", out.empty() ? "" : ", ", quant.name);
  return out;
}

}  // namespace ra::gguf
