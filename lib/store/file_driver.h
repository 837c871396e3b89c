// SPDX-License-Identifier: Apache-2.0
// An HDF5 file that is written through OutputFile. libhdf5 damages files and crashes at exit when a
// disk is full, so it never learns of it: the first error is kept, later writes are dropped, and
// the caller gets the error when the file is closed. Memory is bounded by HDF5's caches.
#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <string_view>

#include "lib/core/output_file.h"
#include "lib/store/hdf5.h"

namespace ra::store {

class Hdf5Output {
 public:
  // Throws as OutputFile does.
  Hdf5Output(const std::filesystem::path& target, bool force, std::uint64_t expected_bytes);
  ~Hdf5Output();
  Hdf5Output(const Hdf5Output&) = delete;
  Hdf5Output& operator=(const Hdf5Output&) = delete;

  hid_t id() const { return h5_.get(); }
  // Result of an HDF5 call; if negative, throws the I/O error behind it, else an internal error
  // naming `what`.
  template <class T>
  T check(T result, std::string_view what) const {
    if (result < 0) fail_call(what);
    return result;
  }
  void check_disk() const;  // throws the first I/O error, if any

  // Closes the HDF5 file, lets `verify` look at the partial file, then syncs and renames.
  void commit(const std::function<void(const std::filesystem::path& partial)>& verify);

  struct State;

 private:
  [[noreturn]] void fail_call(std::string_view what) const;
  std::unique_ptr<State> state_;  // outlives h5_
  Hid h5_;
};

}  // namespace ra::store
