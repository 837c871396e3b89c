// SPDX-License-Identifier: Apache-2.0
// The HDF5 C library behind owned handles, one lock and checked calls. Private to this module.
#pragma once

#include <hdf5.h>

#include <cstdint>
#include <filesystem>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/store/vectors.h"

namespace ra::store {

// The serial library is not thread-safe, not even across files: every public function of this
// module holds this for its HDF5 calls. The first call sets the library up (no atexit, no error
// printing).
[[nodiscard]] std::unique_lock<std::recursive_mutex> hdf5_lock();

// What the library's error stack says about the last failure, innermost first; one line.
std::string hdf5_reason();

// An HDF5 id and how to close it; closing takes the lock.
class Hid {
 public:
  using Close = herr_t (*)(hid_t);
  Hid() = default;
  Hid(hid_t id, Close close) : id_(id), close_(close) {}
  Hid(Hid&& o) noexcept : id_(std::exchange(o.id_, -1)), close_(o.close_) {}
  Hid& operator=(Hid&& o) noexcept {
    std::swap(id_, o.id_);
    std::swap(close_, o.close_);
    return *this;
  }
  ~Hid() { (void)reset(); }
  herr_t reset();  // closes now and returns what the library said
  hid_t get() const { return id_; }
  explicit operator bool() const { return id_ >= 0; }

 private:
  hid_t id_ = -1;
  Close close_ = nullptr;
};

// ---- types -------------------------------------------------------------------------------------

std::size_t bytes_of(DType type);      // 2 or 4
std::string_view name_of(DType type);  // "f16", "bf16", "f32"
// Little-endian file type. f16: IEEE half. bf16: sign 1, exponent 8 (bias 127), mantissa 7.
Hid file_type(DType type);

// ---- creating ----------------------------------------------------------------------------------

// File access for all our files: V110 bounds, since only they checksum every metadata block.
Hid file_access();
// Group and file creation without times, so that equal contents are equal bytes.
Hid untimed(hid_t property_class);

struct Storage {
  std::vector<hsize_t> chunk;
  int gzip = 0;  // shuffle + deflate before Fletcher32 if > 0
};
// Chunked, Fletcher32, no times.
Hid chunked(const Storage& storage);

// Rows per chunk of a [heads, rows, width] dataset: at most 1 MiB, the axis cut into equal pieces
// so that the padding of the last chunk stays below one row per chunk.
std::int64_t chunk_rows(std::int64_t rows, std::int64_t width, std::size_t element_bytes);

}  // namespace ra::store
