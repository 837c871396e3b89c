// SPDX-License-Identifier: Apache-2.0
// Names of all tensor type ids that GGUF has ever had, so that a refusal can name the format.
#pragma once

#include <cstdint>
#include <string>

namespace ra::gguf {

// Why tensors of type `id`, which kernels::find_quant() does not know, are refused: "type IQ2_XS
// (id 17) is not supported", "type id 77 is unknown".
std::string refusal(std::uint32_t id);

// "F32, F16, Q4_0, ...": the formats that can be read.
std::string supported_types();

}  // namespace ra::gguf
