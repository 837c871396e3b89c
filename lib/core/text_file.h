// SPDX-License-Identifier: Apache-2.0
// Small input files: UTF-8 text, lists of token ids, records.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace ra {

enum class Utf8 { kStrict, kReplace };  // replace: each invalid byte becomes U+FFFD

// The whole file, byte for byte, unchecked. Throws Error: 66 no such file or not a regular one, 77
// permission, 74 I/O.
std::string read_bytes(const std::filesystem::path& file);

// The same, and 65 for invalid UTF-8 with the byte offset.
std::string read_text_file(const std::filesystem::path& file, Utf8 utf8 = Utf8::kStrict);

// One decimal id per line; empty lines at the end are allowed. Throws Error as above, 65 naming the
// line for anything else than an integer in [0, 2^31).
std::vector<std::int32_t> read_ids_file(const std::filesystem::path& file);

}  // namespace ra
