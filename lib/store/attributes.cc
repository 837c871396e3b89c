// SPDX-License-Identifier: Apache-2.0
#include "lib/store/attributes.h"

#include <fmt/format.h>

#include <algorithm>

#include "lib/core/error.h"

namespace ra::store {
namespace {

constexpr std::size_t kMaxText = 60000;  // a compact attribute must stay below 64 KiB

}  // namespace

void AttributeWriter::write(const char* name, hid_t type, hid_t memory_type,
                            const void* value) const {
  const Hid space(H5Screate(H5S_SCALAR), H5Sclose);
  const Hid attribute(
      out_.check(H5Acreate2(object_, name, type, space.get(), H5P_DEFAULT, H5P_DEFAULT), name),
      H5Aclose);
  out_.check(H5Awrite(attribute.get(), memory_type, value), name);
}

void AttributeWriter::text(const char* name, std::string_view value) const {
  std::string bytes(value.substr(0, kMaxText));
  if (bytes.empty()) bytes.push_back('\0');  // HDF5 knows no string of length 0
  const Hid type(H5Tcopy(H5T_C_S1), H5Tclose);
  RA_CHECK(H5Tset_size(type.get(), bytes.size()) >= 0);
  RA_CHECK(H5Tset_cset(type.get(), H5T_CSET_UTF8) >= 0);
  RA_CHECK(H5Tset_strpad(type.get(), H5T_STR_NULLPAD) >= 0);
  write(name, type.get(), type.get(), bytes.data());
}

void AttributeWriter::i64(const char* name, std::int64_t value) const {
  write(name, H5T_STD_I64LE, H5T_NATIVE_INT64, &value);
}
void AttributeWriter::u64(const char* name, std::uint64_t value) const {
  write(name, H5T_STD_U64LE, H5T_NATIVE_UINT64, &value);
}
void AttributeWriter::u8(const char* name, std::uint8_t value) const {
  write(name, H5T_STD_U8LE, H5T_NATIVE_UINT8, &value);
}
void AttributeWriter::f64(const char* name, double value) const {
  write(name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, &value);
}

void AttributeReader::refuse(const char* name, std::string why, std::string hint) const {
  fail_bad_data({.what = "bad attribute",
                 .file = file_.string(),
                 .where = fmt::format("{}@{}", object_, name),
                 .why = std::move(why),
                 .hint = std::move(hint)});
}

bool AttributeReader::has(const char* name) const {
  const htri_t exists = H5Aexists(id_, name);
  if (exists < 0) refuse(name, hdf5_reason(), "damaged file?");
  return exists > 0;
}

Hid AttributeReader::open(const char* name) const {
  if (!has(name)) refuse(name, "is missing");
  Hid attribute(H5Aopen(id_, name, H5P_DEFAULT), H5Aclose);
  if (!attribute) refuse(name, hdf5_reason());
  const Hid space(H5Aget_space(attribute.get()), H5Sclose);
  if (!space || H5Sget_simple_extent_type(space.get()) != H5S_SCALAR) refuse(name, "is no scalar");
  return attribute;
}

std::string AttributeReader::text(const char* name) const {
  const Hid attribute = open(name);
  const Hid type(H5Aget_type(attribute.get()), H5Tclose);
  if (!type || H5Tget_class(type.get()) != H5T_STRING) refuse(name, "is no string");
  if (H5Tis_variable_str(type.get()) != 0)
    refuse(name, "is a variable-length string", "store it with a fixed length, np.bytes_ in h5py");
  const std::size_t size = H5Tget_size(type.get());
  if (size > kMaxText) refuse(name, fmt::format("has {} bytes, at most {}", size, kMaxText));
  std::string value(size, '\0');
  if (H5Aread(attribute.get(), type.get(), value.data()) < 0) refuse(name, hdf5_reason());
  value.resize(std::min(value.find('\0'), value.size()));
  return value;
}

void AttributeReader::read_number(const char* name, hid_t type, std::string_view type_name,
                                  void* value) const {
  const Hid attribute = open(name);
  const Hid stored(H5Aget_type(attribute.get()), H5Tclose);
  if (!stored || H5Tequal(stored.get(), type) <= 0)
    refuse(name, fmt::format("is not of type {}", type_name));
  if (H5Aread(attribute.get(), type, value) < 0) refuse(name, hdf5_reason());
}

std::int64_t AttributeReader::i64(const char* name) const {
  std::int64_t value = 0;
  read_number(name, H5T_STD_I64LE, "i64", &value);
  return value;
}

std::int64_t AttributeReader::i64(const char* name, std::int64_t least, std::int64_t most) const {
  const std::int64_t value = i64(name);
  if (value < least || value > most)
    refuse(name, fmt::format("is {}, must be {}..{}", value, least, most));
  return value;
}

std::uint64_t AttributeReader::u64(const char* name) const {
  std::uint64_t value = 0;
  read_number(name, H5T_STD_U64LE, "u64", &value);
  return value;
}

std::uint8_t AttributeReader::u8(const char* name) const {
  std::uint8_t value = 0;
  read_number(name, H5T_STD_U8LE, "u8", &value);
  return value;
}

double AttributeReader::f64(const char* name) const {
  double value = 0;
  read_number(name, H5T_IEEE_F64LE, "f64", &value);
  return value;
}

}  // namespace ra::store
