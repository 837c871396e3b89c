// SPDX-License-Identifier: Apache-2.0
#include "lib/store/dataset.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "lib/core/error.h"

namespace ra::store {
namespace {

constexpr hsize_t kMaxChunkBytes = 64u << 20;

}  // namespace

void create_group(const Hdf5Output& out, const std::string& path) {
  const Hid gcpl = untimed(H5P_GROUP_CREATE);
  const Hid group(
      out.check(H5Gcreate2(out.id(), path.c_str(), H5P_DEFAULT, gcpl.get(), H5P_DEFAULT), path),
      H5Gclose);
}

Hid create_dataset(const Hdf5Output& out, const std::string& path, hid_t type,
                   const std::vector<hsize_t>& dims, Storage storage) {
  const int rank = static_cast<int>(dims.size());
  if (storage.chunk.empty()) {
    storage.chunk = dims;
    std::uint64_t row_bytes = H5Tget_size(type);
    for (std::size_t i = 1; i < dims.size(); ++i) row_bytes *= dims[i];
    storage.chunk[0] = static_cast<hsize_t>(
        chunk_rows(static_cast<std::int64_t>(dims[0]), static_cast<std::int64_t>(row_bytes), 1));
  }
  const Hid dcpl = chunked(storage);
  const Hid space(out.check(H5Screate_simple(rank, dims.data(), nullptr), path), H5Sclose);
  return Hid(out.check(H5Dcreate2(out.id(), path.c_str(), type, space.get(), H5P_DEFAULT,
                                  dcpl.get(), H5P_DEFAULT),
                       path),
             H5Dclose);
}

void write_list(const Hdf5Output& out, const std::string& path, hid_t type, const void* data,
                std::size_t n, std::size_t element_bytes) {
  RA_CHECK(H5Tget_size(type) == element_bytes);
  const Hid dataset = create_dataset(out, path, type, {n});
  out.check(H5Dwrite(dataset.get(), type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data), path);
}

Hid open_file(const std::filesystem::path& file) {
  const auto refuse = [&](Exit code, std::string why, std::string hint = "") {
    fail(code, {.what = "cannot open",
                .file = file.string(),
                .where = "",
                .why = std::move(why),
                .hint = std::move(hint)});
  };
  struct stat s {};
  if (::stat(file.c_str(), &s) != 0)
    refuse(errno == EACCES ? Exit::kPermission : Exit::kNoInput, std::strerror(errno));
  if (!S_ISREG(s.st_mode)) refuse(Exit::kNoInput, "not a regular file");
  if (::access(file.c_str(), R_OK) != 0) refuse(Exit::kPermission, std::strerror(errno));
  const Hid fapl(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  RA_CHECK(H5Pset_file_locking(fapl.get(), true, true) >= 0);
  RA_CHECK(H5Pset_fclose_degree(fapl.get(), H5F_CLOSE_STRONG) >= 0);
  Hid h5(H5Fopen(file.c_str(), H5F_ACC_RDONLY, fapl.get()), H5Fclose);
  if (!h5) refuse(Exit::kBadData, hdf5_reason(), "not a whole HDF5 file?");
  return h5;
}

void refuse_dataset(const std::filesystem::path& file, const std::string& path, std::string why,
                    std::string hint) {
  fail_bad_data({.what = "bad dataset",
                 .file = file.string(),
                 .where = path,
                 .why = std::move(why),
                 .hint = std::move(hint)});
}

bool has_link(const std::filesystem::path& file, hid_t h5, const std::string& path) {
  for (std::size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    const std::string prefix = path.substr(0, end);
    const htri_t exists = H5Lexists(h5, prefix.c_str(), H5P_DEFAULT);
    if (exists == 0) return false;
    H5L_info_t link{};
    if (exists < 0 || H5Lget_info(h5, prefix.c_str(), &link, H5P_DEFAULT) < 0)
      refuse_dataset(file, prefix, hdf5_reason(), "damaged file?");
    if (link.type != H5L_TYPE_HARD) return false;
    if (end == std::string::npos) return true;
  }
}

namespace {

void check_storage(const std::filesystem::path& file, const std::string& path, hid_t dataset,
                   const std::vector<hsize_t>& dims, std::size_t element_bytes) {
  const Hid dcpl(H5Dget_create_plist(dataset), H5Pclose);
  if (!dcpl) refuse_dataset(file, path, hdf5_reason());
  const H5D_layout_t layout = H5Pget_layout(dcpl.get());
  if (H5Pget_external_count(dcpl.get()) != 0)
    refuse_dataset(file, path, "keeps its data in other files");
  if (layout != H5D_CHUNKED && layout != H5D_CONTIGUOUS && layout != H5D_COMPACT)
    refuse_dataset(file, path, "has a storage class other than chunked, contiguous or compact");
  if (layout != H5D_CHUNKED) {
    hsize_t bytes = element_bytes;
    for (const hsize_t d : dims)
      if (__builtin_mul_overflow(bytes, d, &bytes)) refuse_dataset(file, path, "is too large");
    if (H5Dget_storage_size(dataset) < bytes) refuse_dataset(file, path, "was never written");
    return;
  }
  const int filters = H5Pget_nfilters(dcpl.get());
  for (int i = 0; i < filters; ++i) {
    unsigned flags = 0, config = 0;
    std::size_t no_values = 0;
    const H5Z_filter_t filter = H5Pget_filter2(dcpl.get(), static_cast<unsigned>(i), &flags,
                                               &no_values, nullptr, 0, nullptr, &config);
    if (filter != H5Z_FILTER_DEFLATE && filter != H5Z_FILTER_SHUFFLE &&
        filter != H5Z_FILTER_FLETCHER32)
      refuse_dataset(file, path, fmt::format("uses filter {}", static_cast<int>(filter)),
                     "allowed are deflate, shuffle and fletcher32");
  }
  std::vector<hsize_t> chunk(dims.size());
  if (H5Pget_chunk(dcpl.get(), static_cast<int>(dims.size()), chunk.data()) < 0)
    refuse_dataset(file, path, hdf5_reason());
  hsize_t chunk_bytes = element_bytes, chunks = 1, written = 0;
  for (std::size_t i = 0; i < dims.size(); ++i) {
    if (chunk[i] == 0 || __builtin_mul_overflow(chunk_bytes, chunk[i], &chunk_bytes) ||
        chunk_bytes > kMaxChunkBytes)
      refuse_dataset(file, path, fmt::format("has chunks above {} bytes", kMaxChunkBytes));
    if (__builtin_mul_overflow(chunks, (dims[i] + chunk[i] - 1) / chunk[i], &chunks))
      refuse_dataset(file, path, "is too large");
  }
  const Hid space(H5Dget_space(dataset), H5Sclose);
  if (!space || H5Dget_num_chunks(dataset, space.get(), &written) < 0)
    refuse_dataset(file, path, hdf5_reason());
  if (written != chunks)
    refuse_dataset(file, path, fmt::format("has {} of {} chunks", written, chunks));
}

}  // namespace

DatasetInfo open_dataset(const std::filesystem::path& file, hid_t h5, const std::string& path,
                         int rank) {
  if (!has_link(file, h5, path)) refuse_dataset(file, path, "is missing");
  DatasetInfo out{Hid(H5Dopen2(h5, path.c_str(), H5P_DEFAULT), H5Dclose), {}};
  if (!out.id) refuse_dataset(file, path, hdf5_reason());
  const Hid space(H5Dget_space(out.id.get()), H5Sclose);
  const Hid type(H5Dget_type(out.id.get()), H5Tclose);
  if (!space || !type) refuse_dataset(file, path, hdf5_reason());
  const int found = H5Sget_simple_extent_ndims(space.get());
  if (H5Sget_simple_extent_type(space.get()) != H5S_SIMPLE || found != rank)
    refuse_dataset(file, path, fmt::format("has rank {}, must be {}", found, rank));
  out.dims.resize(static_cast<std::size_t>(rank));
  if (H5Sget_simple_extent_dims(space.get(), out.dims.data(), nullptr) != rank)
    refuse_dataset(file, path, hdf5_reason());
  if (std::find(out.dims.begin(), out.dims.end(), hsize_t{0}) != out.dims.end())
    refuse_dataset(file, path, "is empty");
  check_storage(file, path, out.id.get(), out.dims, H5Tget_size(type.get()));
  return out;
}

Hid open_exact(const std::filesystem::path& file, hid_t h5, const std::string& path, hid_t type,
               const std::vector<hsize_t>& dims) {
  DatasetInfo found = open_dataset(file, h5, path, static_cast<int>(dims.size()));
  const Hid stored(H5Dget_type(found.id.get()), H5Tclose);
  if (!stored || H5Tequal(stored.get(), type) <= 0)
    refuse_dataset(file, path, "is not of the type that the file says");
  if (found.dims != dims)
    refuse_dataset(file, path,
                   fmt::format("has shape [{}], must be [{}]", fmt::join(found.dims, ","),
                               fmt::join(dims, ",")));
  return std::move(found.id);
}

void read_rows(const std::filesystem::path& file, const std::string& path, hid_t dataset,
               hid_t type, std::int64_t head, std::int64_t first, std::int64_t count,
               std::int64_t width, void* out) {
  const hsize_t start[] = {static_cast<hsize_t>(head), static_cast<hsize_t>(first), 0};
  const hsize_t block[] = {1, static_cast<hsize_t>(count), static_cast<hsize_t>(width)};
  const Hid space(H5Dget_space(dataset), H5Sclose);
  const Hid memory(H5Screate_simple(3, block, nullptr), H5Sclose);
  if (!space || !memory ||
      H5Sselect_hyperslab(space.get(), H5S_SELECT_SET, start, nullptr, block, nullptr) < 0 ||
      H5Dread(dataset, type, memory.get(), space.get(), H5P_DEFAULT, out) < 0)
    refuse_dataset(file, path, hdf5_reason(), "damaged file?");
}

}  // namespace ra::store
