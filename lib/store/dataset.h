// SPDX-License-Identifier: Apache-2.0
// Creating and checked opening of files, groups and datasets.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "lib/store/file_driver.h"
#include "lib/store/hdf5.h"

namespace ra::store {

// ---- writing -----------------------------------------------------------------------------------

void create_group(const Hdf5Output& out, const std::string& path);
// Chunked as `storage` says (an empty chunk: one chunk of at most 1 MiB pieces along the first
// axis).
Hid create_dataset(const Hdf5Output& out, const std::string& path, hid_t type,
                   const std::vector<hsize_t>& dims, Storage storage = {});
// A whole one-dimensional dataset.
void write_list(const Hdf5Output& out, const std::string& path, hid_t type, const void* data,
                std::size_t n, std::size_t element_bytes);

// ---- reading -----------------------------------------------------------------------------------

// Opens a foreign file read-only. Throws Error: 66 no such file or not a regular one, 77, 65.
Hid open_file(const std::filesystem::path& file);

struct DatasetInfo {
  Hid id;
  std::vector<hsize_t> dims;
};
// Opens a dataset of `rank` after these checks, else Error{kBadData} naming it: hard links all the
// way, no virtual or external storage, only deflate, shuffle and Fletcher32 filters, chunks of at
// most 64 MiB, every chunk written.
DatasetInfo open_dataset(const std::filesystem::path& file, hid_t h5, const std::string& path,
                         int rank);
// Also checks the file type and the shape.
Hid open_exact(const std::filesystem::path& file, hid_t h5, const std::string& path, hid_t type,
               const std::vector<hsize_t>& dims);
// True if `path` exists as a hard link, all the way. Damage that hides the answer is
// Error{kBadData}.
bool has_link(const std::filesystem::path& file, hid_t h5, const std::string& path);

[[noreturn]] void refuse_dataset(const std::filesystem::path& file, const std::string& path,
                                 std::string why, std::string hint = "");

// Rows [first, first + count) of one head of [heads, rows, width], in the file's own type.
void read_rows(const std::filesystem::path& file, const std::string& path, hid_t dataset,
               hid_t type, std::int64_t head, std::int64_t first, std::int64_t count,
               std::int64_t width, void* out);

}  // namespace ra::store
