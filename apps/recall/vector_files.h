// SPDX-License-Identifier: Apache-2.0
// Plain vector files other tools read: big-ann-benchmarks .fbin and ground truth, NumPy .npy 1.0.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>

#include "kernels/types.h"

namespace ra::recall {

// u32 rows, u32 columns, then f32 rows. All writers are atomic and little-endian; an existing file
// is replaced only with `force`. They throw Error 73, 74, 77.
void write_fbin(const std::filesystem::path& file, MatView<const float> x, bool force);
// u32 queries, u32 k, then all ids (i32), then all scores (f32).
void write_truth(const std::filesystem::path& file, std::size_t k,
                 std::span<const std::uint32_t> ids, std::span<const float> scores, bool force);

void write_npy(const std::filesystem::path& file, MatView<const float> x,
               bool force);  // <f4 [n, d]
// As f16. Every value must be one, which holds for vectors read from an f16 dump.
void write_npy_f16(const std::filesystem::path& file, MatView<const float> x, bool force);
void write_npy(const std::filesystem::path& file, std::span<const std::int64_t> x,
               bool force);  // <i8 [n]

}  // namespace ra::recall
