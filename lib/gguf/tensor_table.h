// SPDX-License-Identifier: Apache-2.0
// The tensor records of a GGUF file, checked against the data they point to.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lib/gguf/cursor.h"
#include "lib/gguf/reader.h"

namespace ra::gguf {

inline constexpr std::uint64_t kMaxTensors = 1000000, kMaxTensorNameBytes = 64;
inline constexpr std::uint64_t kMaxDims = 4, kMaxDim = std::uint64_t{1} << 40;

// Reads `count` records; the data section starts behind them at the next multiple of `alignment`
// (a power of two). Each tensor comes back with its data pointer set: aligned, inside the file,
// whole blocks per row, sharing no byte with another one. Throws Error{kBadData}.
// Bytes that belong to no tensor are allowed; `warnings` gets a line if they exceed one alignment.
std::vector<Tensor> read_tensors(Cursor& in, std::uint64_t count, std::uint64_t alignment,
                                 std::vector<std::string>& warnings);

}  // namespace ra::gguf
