// SPDX-License-Identifier: Apache-2.0
// A small dump whose every value follows from its place, and ways to write it.
#pragma once

#include <filesystem>
#include <vector>

#include "lib/core/matrix.h"
#include "lib/store/vectors.h"

namespace ra::store::testing {

struct Sample {
  DumpInfo info;  // as known before the run
  std::vector<std::int32_t> ids;
  std::vector<float> nll, logits_last;
};

// 3 layers of 4, 4 heads on 2 KV heads, head_dim 8, value_dim 6, 50 tokens of which 40 are prompt.
Sample sample_dump(DType dtype = DType::kF16);

// What was written at a place, as a reader must see it (rounded to the stored type).
float sample_value(const Sample& s, int layer, char kind, std::int64_t pos, std::int64_t head,
                   std::int64_t dim);

// Feeds [first, last) in blocks of `rows` through all layers, one row at a time after the prompt.
void feed(DumpWriter& writer, const Sample& s, std::int64_t first, std::int64_t last,
          std::int64_t rows = 8);

// Writes the whole dump.
void write_sample(const Sample& s, const WriterOptions& options);

// Reads everything back and compares (EXPECT).
void expect_sample(const std::filesystem::path& file, const Sample& s);

}  // namespace ra::store::testing
