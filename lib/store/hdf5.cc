// SPDX-License-Identifier: Apache-2.0
#include "lib/store/hdf5.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "lib/core/error.h"
#include "lib/core/provenance.h"

namespace ra::store {
namespace {

std::recursive_mutex mutex;

void set_up_once() {
  static const bool done = [] {
    H5dont_atexit();  // its exit handler would write to files whose disk is full
    RA_CHECK(H5open() >= 0);
    RA_CHECK(H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr) >= 0);
    return true;
  }();
  (void)done;
}

Hid copy_of_f32(std::size_t sign, std::size_t exponent, std::size_t exponent_bits,
                std::size_t mantissa_bits, std::size_t bias) {
  Hid type(H5Tcopy(H5T_IEEE_F32LE), H5Tclose);
  RA_CHECK(H5Tset_fields(type.get(), sign, exponent, exponent_bits, 0, mantissa_bits) >= 0);
  RA_CHECK(H5Tset_size(type.get(), 2) >= 0);
  RA_CHECK(H5Tset_ebias(type.get(), bias) >= 0);
  return type;
}

}  // namespace

std::unique_lock<std::recursive_mutex> hdf5_lock() {
  std::unique_lock lock(mutex);
  set_up_once();
  return lock;
}

std::string hdf5_reason() {
  std::string text;
  const auto add = [](unsigned, const H5E_error2_t* e, void* out) -> herr_t {
    auto& line = *static_cast<std::string*>(out);
    if (e->desc == nullptr || line.size() > 200) return 0;
    line += (line.empty() ? "" : ", ") + std::string(e->desc);
    return 0;
  };
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, add, &text);
  return text.empty() ? "HDF5 gave no reason" : text;
}

herr_t Hid::reset() {
  if (id_ < 0) return 0;
  const auto lock = hdf5_lock();
  return close_(std::exchange(id_, -1));
}

std::size_t bytes_of(DType type) { return type == DType::kF32 ? 4 : 2; }

void note_libraries() {
  unsigned major = 0, minor = 0, release = 0;
  RA_CHECK(H5get_libversion(&major, &minor, &release) >= 0);
  note_library("hdf5", fmt::format("{}.{}.{}", major, minor, release));
}

std::string_view name_of(DType type) {
  return type == DType::kF16 ? "f16" : type == DType::kBf16 ? "bf16" : "f32";
}

Hid file_type(DType type) {
  if (type == DType::kF16) return copy_of_f32(15, 10, 5, 10, 15);
  if (type == DType::kBf16) return copy_of_f32(15, 7, 8, 7, 127);
  return Hid(H5Tcopy(H5T_IEEE_F32LE), H5Tclose);
}

Hid file_access() {
  Hid fapl(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  RA_CHECK(H5Pset_libver_bounds(fapl.get(), H5F_LIBVER_V110, H5F_LIBVER_V110) >= 0);
  RA_CHECK(H5Pset_file_locking(fapl.get(), true, true) >= 0);
  RA_CHECK(H5Pset_fclose_degree(fapl.get(), H5F_CLOSE_STRONG) >= 0);
  return fapl;
}

Hid untimed(hid_t property_class) {
  Hid plist(H5Pcreate(property_class), H5Pclose);
  RA_CHECK(H5Pset_obj_track_times(plist.get(), false) >= 0);
  // All attributes stay in the object header: one structure less for a reader to get wrong.
  RA_CHECK(H5Pset_attr_phase_change(plist.get(), 64, 0) >= 0);
  return plist;
}

Hid chunked(const Storage& storage) {
  Hid plist = untimed(H5P_DATASET_CREATE);
  RA_CHECK(
      H5Pset_chunk(plist.get(), static_cast<int>(storage.chunk.size()), storage.chunk.data()) >= 0);
  if (storage.gzip > 0) {
    RA_CHECK(H5Pset_shuffle(plist.get()) >= 0);
    RA_CHECK(H5Pset_deflate(plist.get(), static_cast<unsigned>(storage.gzip)) >= 0);
  }
  RA_CHECK(H5Pset_fletcher32(plist.get()) >= 0);
  return plist;
}

std::int64_t chunk_rows(std::int64_t rows, std::int64_t width, std::size_t element_bytes) {
  const auto row_bytes = static_cast<std::uint64_t>(width) * element_bytes;
  const auto most =
      static_cast<std::int64_t>(std::bit_floor(std::max<std::uint64_t>((1u << 20) / row_bytes, 1)));
  const std::int64_t pieces = std::max<std::int64_t>((rows + most - 1) / most, 1);
  return std::max<std::int64_t>((rows + pieces - 1) / pieces, 1);
}

}  // namespace ra::store
