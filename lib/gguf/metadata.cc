// SPDX-License-Identifier: Apache-2.0
#include "lib/gguf/metadata.h"

#include <fmt/format.h>

#include <bit>
#include <limits>

namespace ra::gguf {
namespace {

enum class Type : std::uint32_t {
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
constexpr std::uint32_t kTypes = 13;

// Smallest number of bytes of a value of each type in the file.
constexpr std::uint64_t kTypeBytes[kTypes] = {1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8};

Type read_type(Cursor& in, std::string_view field) {
  const auto id = in.read<std::uint32_t>(field);
  if (id >= kTypes)
    in.fail(fmt::format("{} {} is unknown, they are 0 to {}", field, id, kTypes - 1));
  return static_cast<Type>(id);
}

std::int64_t read_u64(Cursor& in) {
  const auto value = in.read<std::uint64_t>("u64 value");
  if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
    in.fail(
        fmt::format("u64 value {} is over {}", value, std::numeric_limits<std::int64_t>::max()));
  return static_cast<std::int64_t>(value);
}

bool read_bool(Cursor& in) {
  const auto value = in.read<std::uint8_t>("bool value");
  if (value > 1) in.fail(fmt::format("bool value {} is neither 0 nor 1", value));
  return value == 1;
}

std::int64_t read_integer(Cursor& in, Type type) {
  switch (type) {
    case Type::kU8:
      return in.read<std::uint8_t>("u8 value");
    case Type::kI8:
      return in.read<std::int8_t>("i8 value");
    case Type::kU16:
      return in.read<std::uint16_t>("u16 value");
    case Type::kI16:
      return in.read<std::int16_t>("i16 value");
    case Type::kU32:
      return in.read<std::uint32_t>("u32 value");
    case Type::kI32:
      return in.read<std::int32_t>("i32 value");
    case Type::kU64:
      return read_u64(in);
    default:
      return in.read<std::int64_t>("i64 value");
  }
}

double read_number(Cursor& in, Type type) {
  return type == Type::kF32 ? static_cast<double>(in.read<float>("f32 value"))
                            : in.read<double>("f64 value");
}

// Arrays of small integers and of short strings take more memory than file: the whole parser stays
// below 4 x (header bytes) + 64 MiB, also for a file made of nothing else.
void check_memory(const Cursor& in, std::uint64_t count, std::uint64_t file_bytes,
                  std::uint64_t memory_bytes, std::uint64_t& held) {
  constexpr std::uint64_t kSlack = std::uint64_t{64} << 20;
  held += count * memory_bytes;  // count <= kMaxArray, keys <= kMaxKeys: far from wrapping
  const std::uint64_t header = in.offset() + count * file_bytes;
  if (held > 4 * header + kSlack)
    in.fail(
        fmt::format("arrays up to here would take {} bytes of memory, the limit for a header of "
                    "{} bytes is {}",
                    held, header, 4 * header + kSlack));
}

template <class T, class Read>
Array read_items(std::uint64_t count, Read&& read) {
  std::vector<T> items;
  items.reserve(static_cast<std::size_t>(count));
  for (std::uint64_t i = 0; i < count; ++i) items.push_back(read());
  return items;
}

Array read_array(Cursor& in, std::uint64_t& held) {
  const Type type = read_type(in, "array element type");
  if (type == Type::kArray) in.fail("nested arrays are not supported");
  const std::uint64_t item_bytes = kTypeBytes[static_cast<std::uint32_t>(type)];
  const auto count = in.read<std::uint64_t>("array count");
  in.check_count(count, item_bytes, kMaxArray, "array elements");
  switch (type) {
    case Type::kString:
      check_memory(in, count, item_bytes, sizeof(std::string), held);
      return read_items<std::string>(
          count, [&] { return std::string(in.read_string(kMaxStringBytes, "string")); });
    case Type::kBool:
      return read_items<std::uint8_t>(count, [&] { return std::uint8_t{read_bool(in)}; });
    case Type::kF32:
    case Type::kF64:
      check_memory(in, count, item_bytes, sizeof(double), held);
      return read_items<double>(count, [&] { return read_number(in, type); });
    default:
      check_memory(in, count, item_bytes, sizeof(std::int64_t), held);
      return read_items<std::int64_t>(count, [&] { return read_integer(in, type); });
  }
}

Value read_value(Cursor& in, Type type, std::uint64_t& held) {
  switch (type) {
    case Type::kBool:
      return read_bool(in);
    case Type::kString:
      return std::string(in.read_string(kMaxStringBytes, "string"));
    case Type::kArray:
      return read_array(in, held);
    case Type::kF32:
    case Type::kF64:
      return read_number(in, type);
    default:
      return read_integer(in, type);
  }
}

}  // namespace

Metadata Metadata::read(Cursor& in, std::uint64_t count) {
  Metadata out;
  out.entries_.reserve(static_cast<std::size_t>(count));
  out.index_.reserve(static_cast<std::size_t>(count));
  for (std::uint64_t i = 0; i < count; ++i) out.read_pair(in);
  return out;
}

void Metadata::read_pair(Cursor& in) {
  in.enter("bad metadata", "");
  const std::string_view key = in.read_string(kMaxKeyBytes, "key");
  if (key.empty()) in.fail("key without a name");
  if (find(key)) in.fail(fmt::format("key '{}' is there twice", clipped(key)));
  in.enter("bad metadata", key);
  const Type type = read_type(in, "value type");
  entries_.emplace_back(std::string(key), read_value(in, type, held_));
  index_.emplace(entries_.back().first, entries_.size() - 1);
  if (key != "general.alignment") return;
  const auto* alignment = std::get_if<std::int64_t>(&entries_.back().second);
  if (type != Type::kU32 || !alignment) in.fail("must be a u32");
  alignment_ = static_cast<std::uint64_t>(*alignment);
  if (!std::has_single_bit(alignment_) || alignment_ < kMinAlignment || alignment_ > kMaxAlignment)
    in.fail(fmt::format("{} is not a power of two from {} to {}", alignment_, kMinAlignment,
                        kMaxAlignment));
}

const Value* Metadata::find(std::string_view key) const {
  const auto found = index_.find(key);
  return found == index_.end() ? nullptr : &entries_[found->second].second;
}

std::string_view type_name(const Value& value) {
  struct Namer {
    std::string_view operator()(std::int64_t) const { return "an integer"; }
    std::string_view operator()(double) const { return "a number"; }
    std::string_view operator()(bool) const { return "a bool"; }
    std::string_view operator()(const std::string&) const { return "a string"; }
    std::string_view operator()(const Array& array) const {
      static constexpr std::string_view kNames[] = {"an array of integers", "an array of numbers",
                                                    "an array of bools", "an array of strings"};
      return kNames[array.index()];
    }
  };
  return std::visit(Namer{}, value);
}

}  // namespace ra::gguf
