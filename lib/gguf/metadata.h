// SPDX-License-Identifier: Apache-2.0
// The key-value section of a GGUF file.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "lib/gguf/cursor.h"
#include "lib/gguf/reader.h"

namespace ra::gguf {

inline constexpr std::uint64_t kMaxKeys = 65536, kMaxKeyBytes = 65535;
inline constexpr std::uint64_t kMaxStringBytes = std::uint64_t{64} << 20;
inline constexpr std::uint64_t kMaxArray = std::uint64_t{16} << 20;
inline constexpr std::uint64_t kMinAlignment = 8, kMaxAlignment = std::uint64_t{1} << 20;

class Metadata {
 public:
  Metadata() = default;
  Metadata(Metadata&&) = default;  // moving keeps the strings, and so the keys of index_, in place
  Metadata& operator=(Metadata&&) = default;

  // Reads `count` pairs; the cursor stands behind the last one afterwards. Throws Error{kBadData}.
  static Metadata read(Cursor& in, std::uint64_t count);

  const Value* find(std::string_view key) const;
  std::span<const std::pair<std::string, Value>> entries() const { return entries_; }
  std::uint64_t alignment() const { return alignment_; }  // general.alignment or its default

 private:
  void read_pair(Cursor& in);

  std::vector<std::pair<std::string, Value>> entries_;  // capacity fixed by read()
  std::unordered_map<std::string_view, std::size_t> index_;
  std::uint64_t alignment_ = 32;
  std::uint64_t held_ = 0;  // bytes of memory that arrays take
};

// Name of a value's type for messages: "an integer", "an array of strings".
std::string_view type_name(const Value& value);

}  // namespace ra::gguf
