// SPDX-License-Identifier: Apache-2.0
// Strict GGUF v2/v3 reader: metadata and tensor table of one file or all its splits; it knows no
// model. Every length is checked against the bytes left before anything is allocated.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace ra::gguf {

enum class LoadMode { kMmap, kRead };

struct OpenOptions {
  LoadMode mode = LoadMode::kMmap;
  bool check_tensors = true;  // refuse block scales that are NaN or infinite, naming the tensor
};

using Array = std::variant<std::vector<std::int64_t>,  // u8..i64; u64 above int64 max is refused
                           std::vector<double>,        // f32, f64
                           std::vector<std::uint8_t>,  // bool
                           std::vector<std::string>>;
using Value = std::variant<std::int64_t, double, bool, std::string, Array>;

struct Tensor {
  std::string name;
  std::uint32_t type = 0;           // GGUF type id, always one of kernels::AllQuants
  std::vector<std::uint64_t> dims;  // first dimension is the contiguous one; 1 to 4
  const std::byte* data = nullptr;  // valid as long as the File
  std::uint64_t bytes = 0, file_offset = 0;
  std::uint64_t cols() const { return dims[0]; }
  std::uint64_t rows() const;  // product of the other dimensions
};

class File {
 public:
  // Opens `path` and, for NAME-00001-of-0000N.gguf, its sibling parts. Throws Error: 66 no such or
  // not a regular file, 65 bad data, 71 not enough memory, 74 I/O.
  static std::unique_ptr<File> open(const std::filesystem::path& path,
                                    const OpenOptions& options = {});
  // The same for one unsplit file that is already in memory (64-byte aligned, outliving the File);
  // `name` stands for its path. check_unchanged() finds nothing.
  static std::unique_ptr<File> from_memory(std::span<const std::byte> bytes, std::string name,
                                           const OpenOptions& options = {});
  virtual ~File() = default;

  virtual const std::filesystem::path& path() const = 0;
  virtual std::uint32_t version() const = 0;
  virtual const Value* find(std::string_view key) const = 0;                    // nullptr if absent
  virtual std::span<const std::pair<std::string, Value>> metadata() const = 0;  // file order
  virtual const Tensor* tensor(std::string_view name) const = 0;                // nullptr if absent
  virtual std::span<const Tensor> tensors() const = 0;
  virtual std::string sha256() const = 0;  // hex, over the bytes of all parts in order; cached
  // Throws Error{kIo} if size, mtime or inode of a part changed since it was opened.
  virtual void check_unchanged() const = 0;
  // Oddities that do no harm, one printable line each: bytes that belong to no tensor.
  virtual std::span<const std::string> warnings() const = 0;

  // Typed look-ups. A present key of another type is Error{kBadData} naming key and type; an absent
  // key gives nothing (or the error, for require_*).
  std::optional<std::int64_t> integer(std::string_view key) const;
  std::optional<double> number(std::string_view key) const;
  std::optional<bool> boolean(std::string_view key) const;
  std::optional<std::string> string(std::string_view key) const;
  std::int64_t require_integer(std::string_view key) const;
  double require_number(std::string_view key) const;
  std::string require_string(std::string_view key) const;
  template <class T>  // int64_t, double, uint8_t, std::string
  const std::vector<T>* array(std::string_view key) const;
};

}  // namespace ra::gguf
