// SPDX-License-Identifier: Apache-2.0
// The container of keys and values on disk: named arrays that can be mapped, under checksums.
//
//   0      magic, 8 bytes of ASCII            40     u64 xxh3-64 of the data region
//   8      u32 version = 1, u32 flags = 0     48     u64 xxh3-64 of bytes 0..47 and the JSON
//   16     u64 J, bytes of the JSON header    56     zero
//   24     u64 start of data, in 4096ths      64     JSON, then zeros to the start of data
//   32     u64 bytes of data
//
// All integers are little-endian. `tensors` of the JSON lists {layer, name, offset, bytes, xxh3 (16
// hex digits)} in file order; each offset is a multiple of 4096 from the start of data, gaps are
// zero, and the file ends with the last tensor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/core/json.h"
#include "lib/core/mapped_file.h"

namespace ra::model {

// An array to be written: its bytes, one piece after the other.
struct TensorSource {
  int layer = 0;
  std::string name;
  std::vector<std::span<const std::byte>> pieces;
};

// Upper bound of the file's size for a header of at most 64 KiB.
std::uint64_t tensor_file_bytes(std::span<const std::uint64_t> tensors);

// Writes all of it beside `target`, reads it back and renames it into place. `magic` has 8 bytes,
// `header` no `tensors`. Throws Error 73, 74, 77.
void write_tensor_file(const std::filesystem::path& target, bool force, std::string_view magic,
                       Json header, const std::vector<TensorSource>& tensors);

class TensorFile {
 public:
  struct Tensor {
    int layer = 0;
    std::string name;
    std::span<const std::byte> bytes;
  };
  // Maps the file and checks every field, that nothing overlaps or is left over, and the checksums;
  // with `trust_data` not that of the data, which takes a pass over it. `what` names the kind of
  // file in messages ("KV snapshot"). Throws Error: 66, 77, and 65 for anything else than a whole
  // file of this magic.
  TensorFile(const std::filesystem::path& file, std::string_view magic, std::string_view what,
             bool trust_data = false);

  const std::filesystem::path& path() const { return file_.path(); }
  std::span<const Tensor> tensors() const { return tensors_; }
  const Tensor* find(int layer, std::string_view name) const;  // null if there is none
  // The tensor, of exactly `bytes`; else Error{kBadData} naming it.
  std::span<const std::byte> require(int layer, std::string_view name, std::uint64_t bytes) const;

  // Fields of the JSON header; one that is absent, of another type or out of range is
  // Error{kBadData} naming it.
  std::int64_t integer(const char* field, std::int64_t least, std::int64_t most) const;
  double number(const char* field) const;
  std::string text(const char* field) const;
  std::string object(const char* field) const;  // as compact JSON

  [[noreturn]] void refuse(std::string where, std::string why, std::string hint = "") const;

 private:
  void read_header(std::string_view magic);
  void read_tensors(std::span<const std::byte> data);

  std::string what_;
  MappedFile file_;
  Json header_;
  std::vector<Tensor> tensors_;
};

}  // namespace ra::model
