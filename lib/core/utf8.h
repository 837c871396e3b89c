// SPDX-License-Identifier: Apache-2.0
// Strict UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF (RFC 3629).
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace ra {

// Bytes of the valid sequence that starts `text`, or 0 if there is none.
std::size_t utf8_sequence_length(std::string_view text);

// Offset of the first byte that is not part of valid UTF-8, or nothing.
std::optional<std::size_t> first_invalid_utf8(std::string_view text);

// Each invalid byte becomes U+FFFD.
std::string replace_invalid_utf8(std::string_view text);

}  // namespace ra
