// SPDX-License-Identifier: Apache-2.0
// Scalar attributes: strings are fixed-length UTF-8, since variable-length ones live in HDF5's
// global heap, which has no checksum and whose damage can make readers loop for ever.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "lib/store/file_driver.h"
#include "lib/store/hdf5.h"

namespace ra::store {

// ---- writing -----------------------------------------------------------------------------------

class AttributeWriter {
 public:
  AttributeWriter(const Hdf5Output& out, hid_t object) : out_(out), object_(object) {}
  void text(const char* name, std::string_view value) const;
  void i64(const char* name, std::int64_t value) const;
  void u64(const char* name, std::uint64_t value) const;
  void u8(const char* name, std::uint8_t value) const;
  void f64(const char* name, double value) const;

 private:
  void write(const char* name, hid_t type, hid_t memory_type, const void* value) const;
  const Hdf5Output& out_;
  hid_t object_;
};

// ---- reading -----------------------------------------------------------------------------------

// Every accessor throws Error{kBadData} naming the attribute if it is not a scalar of exactly the
// documented type; the required ones also if it is absent.
class AttributeReader {
 public:
  AttributeReader(std::filesystem::path file, std::string object, hid_t id)
      : file_(std::move(file)), object_(std::move(object)), id_(id) {}
  bool has(const char* name) const;
  std::string text(const char* name) const;
  std::int64_t i64(const char* name) const;
  std::int64_t i64(const char* name, std::int64_t least, std::int64_t most) const;
  std::uint64_t u64(const char* name) const;
  std::uint8_t u8(const char* name) const;
  double f64(const char* name) const;

 private:
  [[noreturn]] void refuse(const char* name, std::string why, std::string hint = "") const;
  Hid open(const char* name) const;
  void read_number(const char* name, hid_t type, std::string_view type_name, void* value) const;
  std::filesystem::path file_;
  std::string object_;
  hid_t id_;
};

}  // namespace ra::store
