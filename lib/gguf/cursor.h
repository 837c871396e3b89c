// SPDX-License-Identifier: Apache-2.0
// Bounds-checked reading of a byte range. Every failure is Error{kBadData} that names the file,
// what was being read and the byte offset. Sizes are u64 from the file: they are only added,
// multiplied or rounded through the checked functions below, and compared by subtraction.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

namespace ra::gguf {

static_assert(std::endian::native == std::endian::little, "GGUF is read in place");

// Nothing if the result does not fit 64 bits.
std::optional<std::uint64_t> checked_add(std::uint64_t a, std::uint64_t b);
std::optional<std::uint64_t> checked_mul(std::uint64_t a, std::uint64_t b);
// `n` rounded up to a multiple of `alignment`, a power of two.
std::optional<std::uint64_t> align_up(std::uint64_t n, std::uint64_t alignment);

// Names from files may be long: the first 100 bytes and "...".
std::string clipped(std::string_view name);

class Cursor {
 public:
  // `file` names the input in messages. The bytes must outlive the cursor and what it returns.
  Cursor(std::span<const std::byte> bytes, std::string file)
      : bytes_(bytes), file_(std::move(file)) {}

  std::uint64_t offset() const { return offset_; }
  std::uint64_t size() const { return bytes_.size(); }
  std::uint64_t left() const { return bytes_.size() - offset_; }
  const std::byte* at(std::uint64_t offset) const { return bytes_.data() + offset; }
  const std::string& file() const { return file_; }

  // What the following reads belong to: `what` is the kind of failure ("bad metadata"), `name` a
  // key or tensor, empty if it is not known yet. Both views must stay valid until the next enter().
  void enter(std::string_view what, std::string_view name) {
    what_ = what;
    name_ = name;
  }

  // Little-endian number. `field` says what it is.
  template <class T>
  T read(std::string_view field) {
    static_assert(std::is_arithmetic_v<T> && !std::is_same_v<T, bool>);
    T value;
    std::memcpy(&value, take(sizeof value, field), sizeof value);
    return value;
  }

  // u64 length and that many bytes, at most `limit`.
  std::string_view read_string(std::uint64_t limit, std::string_view field);

  // Fails, at the start of the last value read, if `count` items of at least `item_bytes` cannot be
  // in the bytes left or if there are more than `limit`.
  void check_count(std::uint64_t count, std::uint64_t item_bytes, std::uint64_t limit,
                   std::string_view items) const;

  // At the start of the last value read.
  [[noreturn]] void fail(std::string why, std::string hint = "") const;

 private:
  const std::byte* take(std::uint64_t n, std::string_view field);

  std::span<const std::byte> bytes_;
  std::string file_;
  std::uint64_t offset_ = 0, value_at_ = 0;
  std::string_view what_ = "bad header", name_;
};

}  // namespace ra::gguf
