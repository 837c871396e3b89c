// SPDX-License-Identifier: Apache-2.0
// Files in the shape of ann-benchmarks.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "lib/core/error.h"
#include "lib/store/attributes.h"
#include "lib/store/dataset.h"
#include "lib/store/vectors.h"

namespace ra::store {
namespace fs = std::filesystem;
namespace {

constexpr hsize_t kMaxRows = hsize_t{1} << 31, kMaxCols = 65536;

void check_shape(const fs::path& file, const std::string& path, const std::vector<hsize_t>& dims) {
  if (dims[0] > kMaxRows || dims[1] > kMaxCols)
    refuse_dataset(
        file, path,
        fmt::format("has shape [{},{}], at most [{},{}]", dims[0], dims[1], kMaxRows, kMaxCols));
}

Matrix<float> read_vectors(const fs::path& file, hid_t h5, const std::string& path) {
  const DatasetInfo found = open_dataset(file, h5, path, 2);
  check_shape(file, path, found.dims);
  const Hid type(H5Dget_type(found.id.get()), H5Tclose);
  if (!type || H5Tequal(type.get(), H5T_IEEE_F32LE) <= 0)
    refuse_dataset(file, path, "is not of type f32", "convert it to float32 first");
  Matrix<float> out(found.dims[0], found.dims[1]);
  if (H5Dread(found.id.get(), H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, out.data()) < 0)
    refuse_dataset(file, path, hdf5_reason(), "damaged file?");
  const auto bad = std::find_if(out.data(), out.data() + out.rows() * out.cols(),
                                [](float x) { return !std::isfinite(x); });
  if (bad != out.data() + out.rows() * out.cols())
    refuse_dataset(file, path,
                   fmt::format("row {} holds {}",
                               static_cast<std::size_t>(bad - out.data()) / out.cols(), *bad));
  return out;
}

void read_neighbors(const fs::path& file, hid_t h5, AnnFile& out) {
  const std::string path = "/neighbors";
  const DatasetInfo found = open_dataset(file, h5, path, 2);
  check_shape(file, path, found.dims);
  const Hid type(H5Dget_type(found.id.get()), H5Tclose);
  if (!type || H5Tget_class(type.get()) != H5T_INTEGER)
    refuse_dataset(file, path, "does not hold integers");
  if (found.dims[0] != out.test.rows())
    refuse_dataset(file, path,
                   fmt::format("has {} rows for {} test vectors", found.dims[0], out.test.rows()));
  std::vector<std::int64_t> ids(found.dims[0] * found.dims[1]);
  if (H5Dread(found.id.get(), H5T_NATIVE_INT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, ids.data()) < 0)
    refuse_dataset(file, path, hdf5_reason(), "damaged file?");
  out.n_neighbors = found.dims[1];
  out.neighbors.reserve(ids.size());
  for (const std::int64_t id : ids) {
    if (id < 0 || id >= static_cast<std::int64_t>(out.train.rows()))
      refuse_dataset(file, path,
                     fmt::format("holds id {} of {} train vectors", id, out.train.rows()));
    out.neighbors.push_back(static_cast<std::int32_t>(id));
  }
}

double squared_norm(const float* x, std::size_t n) {
  double sum = 0;
  for (std::size_t i = 0; i < n; ++i) sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  return sum;
}

// Rows with one more column, `last(row)`; block by block.
void write_lifted(const Hdf5Output& out, const std::string& path, MatView<const float> rows,
                  const std::function<double(std::size_t)>& last) {
  const hsize_t width = rows.cols + 1;
  const Hid dataset = create_dataset(out, path, H5T_IEEE_F32LE, {rows.rows, width});
  const Hid space(out.check(H5Dget_space(dataset.get()), path), H5Sclose);
  const auto slab = static_cast<std::size_t>(
      chunk_rows(static_cast<std::int64_t>(rows.rows), static_cast<std::int64_t>(width), 4));
  std::vector<float> buffer(slab * width);
  for (std::size_t first = 0; first < rows.rows; first += slab) {
    const std::size_t n = std::min(slab, rows.rows - first);
    for (std::size_t i = 0; i < n; ++i) {
      std::copy_n(rows.row(first + i), rows.cols, buffer.data() + i * width);
      buffer[i * width + rows.cols] = static_cast<float>(last(first + i));
    }
    const hsize_t start[] = {first, 0}, block[] = {n, width};
    const Hid memory(out.check(H5Screate_simple(2, block, nullptr), path), H5Sclose);
    out.check(H5Sselect_hyperslab(space.get(), H5S_SELECT_SET, start, nullptr, block, nullptr),
              path);
    out.check(H5Dwrite(dataset.get(), H5T_NATIVE_FLOAT, memory.get(), space.get(), H5P_DEFAULT,
                       buffer.data()),
              path);
    out.check_disk();
  }
}

// ann-benchmarks compares these with Python strings, so here, unlike in a dump, they are of
// variable length; our own reader never looks at them.
void write_python_text(const Hdf5Output& out, const char* name, const char* value) {
  const Hid type(H5Tcopy(H5T_C_S1), H5Tclose);
  RA_CHECK(H5Tset_size(type.get(), H5T_VARIABLE) >= 0);
  RA_CHECK(H5Tset_cset(type.get(), H5T_CSET_UTF8) >= 0);
  const Hid space(H5Screate(H5S_SCALAR), H5Sclose);
  const Hid attribute(
      out.check(H5Acreate2(out.id(), name, type.get(), space.get(), H5P_DEFAULT, H5P_DEFAULT),
                name),
      H5Aclose);
  out.check(H5Awrite(attribute.get(), type.get(), static_cast<const void*>(&value)), name);
}

void write_table(const Hdf5Output& out, const std::string& path, hid_t type, const void* data,
                 std::size_t rows, std::size_t cols) {
  const Hid dataset = create_dataset(out, path, type, {rows, cols});
  out.check(H5Dwrite(dataset.get(), type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data), path);
}

}  // namespace

bool is_ann_file(const fs::path& file) {
  const auto lock = hdf5_lock();
  const Hid h5 = open_file(file);
  return H5Aexists(h5.get(), "format") <= 0 && has_link(file, h5.get(), "/train") &&
         has_link(file, h5.get(), "/test");
}

AnnFile read_ann_file(const fs::path& file) {
  const auto lock = hdf5_lock();
  const Hid h5 = open_file(file);
  AnnFile out;
  out.train = read_vectors(file, h5.get(), "/train");
  out.test = read_vectors(file, h5.get(), "/test");
  if (has_link(file, h5.get(), "/learn")) out.learn = read_vectors(file, h5.get(), "/learn");
  for (const auto& [path, m] : {std::pair("/test", &out.test), std::pair("/learn", &out.learn)})
    if (m->rows() > 0 && m->cols() != out.train.cols())
      refuse_dataset(file, path,
                     fmt::format("has dimension {}, /train {}", m->cols(), out.train.cols()));
  if (has_link(file, h5.get(), "/neighbors")) read_neighbors(file, h5.get(), out);
  return out;
}

void write_ann_file(const fs::path& file, const AnnExport& data, bool force) {
  const std::size_t d = data.train.cols, nq = data.test.rows;
  RA_CHECK(data.train.rows > 0 && nq > 0 && data.k > 0 && data.test.cols == d);
  RA_CHECK(data.neighbors.size() == nq * data.k && data.distances.size() == nq * data.k);
  double max_squared = 0;
  for (std::size_t i = 0; i < data.train.rows; ++i)
    max_squared = std::max(max_squared, squared_norm(data.train.row(i), d));
  const auto lock = hdf5_lock();
  Hdf5Output out(file, force, 0);
  write_lifted(out, "/train", data.train, [&](std::size_t i) {
    return std::sqrt(std::max(0.0, max_squared - squared_norm(data.train.row(i), d)));
  });
  write_lifted(out, "/test", data.test, [](std::size_t) { return 0.0; });
  if (data.learn.rows > 0) write_lifted(out, "/learn", data.learn, [](std::size_t) { return 0.0; });
  write_table(out, "/neighbors", H5T_STD_I32LE, data.neighbors.data(), nq, data.k);
  // |lifted key|^2 = M^2 and queries have 0 there, so the distance follows from the inner product.
  std::vector<float> distances(nq * data.k);
  for (std::size_t i = 0; i < distances.size(); ++i) {
    const double q2 = squared_norm(data.test.row(i / data.k), d);
    distances[i] = static_cast<float>(
        std::sqrt(std::max(0.0, q2 + max_squared - 2.0 * static_cast<double>(data.distances[i]))));
  }
  write_table(out, "/distances", H5T_IEEE_F32LE, distances.data(), nq, data.k);
  write_table(out, "/inner_products", H5T_IEEE_F32LE, data.distances.data(), nq, data.k);
  const AttributeWriter a(out, out.id());
  write_python_text(out, "type", "dense");
  write_python_text(out, "distance", "euclidean");
  write_python_text(out, "point_type", "float");
  a.i64("dimension", static_cast<std::int64_t>(d + 1));
  a.i64("mips_lift", 1);
  a.f64("max_norm", std::sqrt(max_squared));
  out.commit([](const fs::path& partial) { (void)read_ann_file(partial); });
}

}  // namespace ra::store
