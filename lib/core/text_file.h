// SPDX-License-Identifier: Apache-2.0
// Small input files: UTF-8 text and lists of token ids.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace ra {

enum class Utf8 { kStrict, kReplace };  // replace: each invalid byte becomes U+FFFD

// The whole file, byte for byte. Throws Error: 66 no such file or not a regular one, 77 permission,
// 65 invalid UTF-8 with the byte offset, 74 I/O.
std::string read_text_file(const std::filesystem::path& file, Utf8 utf8 = Utf8::kStrict);

// One decimal id per line; empty lines at the end are allowed. Throws Error as above, 65 naming the
// line for anything else than an integer in [0, 2^31).
std::vector<std::int32_t> read_ids_file(const std::filesystem::path& file);

}  // namespace ra
