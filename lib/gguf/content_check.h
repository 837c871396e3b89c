// SPDX-License-Identifier: Apache-2.0
// One pass over the weights that refuses NaN and infinite block scales.
#pragma once

#include <span>
#include <string>

#include "lib/gguf/reader.h"

namespace ra::gguf {

// Reads every byte of the tensors once, in parallel. Throws Error{kBadData} that names the first
// bad block of the first bad tensor, whatever the number of threads.
void check_content(std::span<const Tensor> tensors, const std::string& file);

}  // namespace ra::gguf
