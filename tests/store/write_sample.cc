// SPDX-License-Identifier: Apache-2.0
// write_sample FILE f16|bf16|f32 single|parts: the sample dump, for tests in other languages.
#include <cstdio>
#include <exception>
#include <string_view>

#include "tests/store/sample_dump.h"

int main(int argc, char** argv) {
  using namespace ra::store;
  if (argc != 4) return 2;
  const std::string_view type = argv[2];
  WriterOptions options{.out = argv[1], .part_bytes = 6000, .append_rows = 8};
  if (std::string_view(argv[3]) == "parts") options.single_limit = 1000;
  try {
    testing::write_sample(testing::sample_dump(type == "f16"    ? DType::kF16
                                               : type == "bf16" ? DType::kBf16
                                                                : DType::kF32),
                          options);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "write_sample: %s\n", e.what());
    return 1;
  }
  return 0;
}
