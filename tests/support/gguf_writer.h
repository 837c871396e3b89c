// SPDX-License-Identifier: Apache-2.0
// Builds GGUF files byte by byte, good ones and bad ones: every count, length, offset and type can
// be overridden. Nothing is checked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ra::testing {

// Little-endian bytes.
class Bytes {
 public:
  template <class T>
  Bytes& put(T value) {
    return add(&value, sizeof value);
  }
  Bytes& raw(std::string_view text) { return add(text.data(), text.size()); }
  Bytes& string(std::string_view text) { return put<std::uint64_t>(text.size()).raw(text); }
  Bytes& append(const std::vector<std::byte>& more) { return add(more.data(), more.size()); }
  Bytes& zeros(std::size_t n);
  std::vector<std::byte> data;

 private:
  Bytes& add(const void* bytes, std::size_t n);
};

// GGUF value type ids.
enum GgufType : std::uint32_t {
  kU8,
  kI8,
  kU16,
  kI16,
  kU32,
  kI32,
  kF32,
  kBool,
  kString,
  kArray,
  kU64,
  kI64,
  kF64,
};

class GgufWriter {
 public:
  // ---- header; the counts default to what was added -------------------------------------------
  std::string magic = "GGUF";
  std::uint32_t version = 3;
  std::optional<std::uint64_t> tensor_count, key_count;
  // Layout of the data section; also written as general.alignment by alignment_key().
  std::uint64_t alignment = 32;
  std::size_t trailing = 0;  // bytes after the last tensor's padding
  bool pad_last = true;      // pad the data of the last tensor as well

  // ---- keys -----------------------------------------------------------------------------------
  GgufWriter& u8(std::string_view key, std::uint8_t v) { return scalar(key, kU8, v); }
  GgufWriter& i8(std::string_view key, std::int8_t v) { return scalar(key, kI8, v); }
  GgufWriter& u16(std::string_view key, std::uint16_t v) { return scalar(key, kU16, v); }
  GgufWriter& i16(std::string_view key, std::int16_t v) { return scalar(key, kI16, v); }
  GgufWriter& u32(std::string_view key, std::uint32_t v) { return scalar(key, kU32, v); }
  GgufWriter& i32(std::string_view key, std::int32_t v) { return scalar(key, kI32, v); }
  GgufWriter& u64(std::string_view key, std::uint64_t v) { return scalar(key, kU64, v); }
  GgufWriter& i64(std::string_view key, std::int64_t v) { return scalar(key, kI64, v); }
  GgufWriter& f32(std::string_view key, float v) { return scalar(key, kF32, v); }
  GgufWriter& f64(std::string_view key, double v) { return scalar(key, kF64, v); }
  GgufWriter& boolean(std::string_view key, std::uint8_t v) { return scalar(key, kBool, v); }
  GgufWriter& string(std::string_view key, std::string_view v) {
    return raw_key(key, kString, Bytes().string(v).data);
  }
  GgufWriter& strings(std::string_view key, const std::vector<std::string>& items);
  template <class T>
  GgufWriter& numbers(std::string_view key, GgufType item, const std::vector<T>& items) {
    Bytes value;
    for (const T& v : items) value.put(v);
    return raw_array(key, item, items.size(), value.data);
  }
  // Value bytes as given, behind any type id.
  GgufWriter& raw_key(std::string_view key, std::uint32_t type,
                      const std::vector<std::byte>& value);
  GgufWriter& raw_array(std::string_view key, std::uint32_t item_type, std::uint64_t count,
                        const std::vector<std::byte>& items);
  // A whole pair, key included.
  GgufWriter& raw_pair(const std::vector<std::byte>& bytes);
  GgufWriter& alignment_key(std::uint32_t value) {
    alignment = value;
    return u32("general.alignment", value);
  }

  // ---- tensors --------------------------------------------------------------------------------
  struct TensorRecord {
    std::string name;
    std::vector<std::uint64_t> dims;
    std::uint32_t type = 0;
    std::vector<std::byte> data;
    std::optional<std::uint64_t> offset;       // default: laid out one after the other
    std::optional<std::uint32_t> n_dims;       // default: dims.size()
    std::optional<std::uint64_t> name_length;  // default: name.size()
  };
  // The record may be changed until bytes() is called; the reference lasts until the next tensor().
  TensorRecord& tensor(std::string name, std::vector<std::uint64_t> dims, std::uint32_t type,
                       std::vector<std::byte> data);
  TensorRecord& f32_tensor(std::string name, std::vector<std::uint64_t> dims, float value = 1.0f);

  // ---- result ---------------------------------------------------------------------------------
  std::vector<std::byte> bytes() const;
  std::vector<std::byte> header_bytes() const;  // up to the start of the data section
  void save(const std::string& path) const;

 private:
  template <class T>
  GgufWriter& scalar(std::string_view key, GgufType type, T value) {
    return raw_key(key, type, Bytes().put(value).data);
  }
  std::vector<std::vector<std::byte>> pairs_;
  std::vector<TensorRecord> tensors_;
};

void save_bytes(const std::string& path, std::span<const std::byte> bytes);

}  // namespace ra::testing
