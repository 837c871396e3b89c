// SPDX-License-Identifier: Apache-2.0
#include "lib/store/join.h"

#include <algorithm>
#include <utility>

#include "lib/core/error.h"
#include "lib/core/hash.h"
#include "lib/store/attributes.h"
#include "lib/store/dataset.h"
#include "lib/store/dump_info.h"
#include "lib/store/dump_reader.h"
#include "lib/store/vector_set.h"

namespace ra::store {
namespace fs = std::filesystem;
namespace {

struct Target {
  const Hdf5Output& out;
  const DumpInfo& info;
  const WriterOptions& options;
  hid_t type;
};

hsize_t u(std::int64_t n) { return static_cast<hsize_t>(n); }

std::int64_t rows_of_dump(const DumpInfo& info, Kind kind) {
  return kind == Kind::kQ ? std::ssize(info.q_pos) : info.n_tokens;
}

Hid create_copied(const Target& t, const VectorSet& parts, int layer, Kind kind) {
  const auto [heads, width] = shape_of(t.info, kind);
  const std::int64_t rows = rows_of_dump(t.info, kind);
  const std::int64_t slab = chunk_rows(rows, width, bytes_of(t.info.dtype));
  const std::string path = vector_path(t.info, layer, kind);
  Hid dataset = create_dataset(t.out, path, t.type, {u(heads), u(rows), u(width)},
                               {{1, u(slab), u(width)}, t.options.gzip});
  const Hid space(t.out.check(H5Dget_space(dataset.get()), path), H5Sclose);
  std::vector<std::byte> buffer(static_cast<std::size_t>(slab * width) * bytes_of(t.info.dtype));
  for (std::int64_t head = 0; head < heads; ++head) {
    for (std::int64_t first = 0; first < rows; first += slab) {
      const std::int64_t n = std::min(slab, rows - first);
      parts.read(layer, kind, head, first, n, buffer.data());
      const hsize_t start[] = {u(head), u(first), 0}, block[] = {1, u(n), u(width)};
      const Hid memory(t.out.check(H5Screate_simple(3, block, nullptr), path), H5Sclose);
      t.out.check(H5Sselect_hyperslab(space.get(), H5S_SELECT_SET, start, nullptr, block, nullptr),
                  path);
      t.out.check(
          H5Dwrite(dataset.get(), t.type, memory.get(), space.get(), H5P_DEFAULT, buffer.data()),
          path);
      t.out.check_disk();
    }
  }
  return dataset;
}

// Source names are relative to OUT; '%' starts a printf-style block number in them.
std::string source_name(const std::string& folder, const std::string& part) {
  std::string name;
  for (const char c : folder + "/" + part) name += c == '%' ? std::string("%%") : std::string(1, c);
  return name;
}

Hid create_virtual(const Target& t, const std::vector<PartEntry>& entries,
                   const std::string& folder, int layer, Kind kind) {
  const auto [heads, width] = shape_of(t.info, kind);
  const std::string path = vector_path(t.info, layer, kind);
  const hsize_t dims[] = {u(heads), u(rows_of_dump(t.info, kind)), u(width)};
  const Hid space(t.out.check(H5Screate_simple(3, dims, nullptr), path), H5Sclose);
  const Hid dcpl = untimed(H5P_DATASET_CREATE);
  // A missing part reads as NaN.
  const std::uint32_t nan = t.info.dtype == DType::kF16    ? 0x7e00u
                            : t.info.dtype == DType::kBf16 ? 0x7fc0u
                                                           : 0x7fc00000u;
  RA_CHECK(H5Pset_fill_value(dcpl.get(), t.type, &nan) >= 0);
  for (const PartEntry& e : entries) {
    if (layer < e.range.layer_begin || layer >= e.range.layer_end) continue;
    const auto [begin, end] = kind == Kind::kQ
                                  ? query_rows(t.info, e.range.token_begin, e.range.token_end)
                                  : std::pair(e.range.token_begin, e.range.token_end);
    if (begin == end) continue;
    const hsize_t start[] = {0, u(begin), 0}, block[] = {dims[0], u(end - begin), dims[2]};
    const Hid source(t.out.check(H5Screate_simple(3, block, nullptr), path), H5Sclose);
    t.out.check(H5Sselect_hyperslab(space.get(), H5S_SELECT_SET, start, nullptr, block, nullptr),
                path);
    t.out.check(H5Pset_virtual(dcpl.get(), space.get(), source_name(folder, e.part).c_str(),
                               path.c_str(), source.get()),
                path);
  }
  return Hid(t.out.check(H5Dcreate2(t.out.id(), path.c_str(), t.type, space.get(), H5P_DEFAULT,
                                    dcpl.get(), H5P_DEFAULT),
                         path),
             H5Dclose);
}

}  // namespace

void join_parts(const DumpInfo& info, const WriterOptions& options,
                const std::vector<PartEntry>& entries, const std::string& config_sha256) {
  const auto lock = hdf5_lock();
  const fs::path folder = parts_folder(options.out);
  const VectorSet parts(info, folder, entries);
  const std::uint64_t bytes = dump_bytes(info);
  const bool single = bytes <= options.single_limit;
  DumpParts kept{.config_sha256 = config_sha256};
  if (!single) {
    kept.folder = folder.filename().string();
    kept.manifest_sha256 = sha256_file(manifest_file(folder));
  }
  const Hid type = file_type(info.dtype);
  Hdf5Output out(options.out, options.force, single && options.gzip == 0 ? bytes : 0);
  write_attributes(out, info, kept);
  write_lists(out, info);
  const Target target{out, info, options, type.get()};
  for (const int layer : info.layers) {
    for (const Kind kind : kKinds) {
      const Hid dataset = single ? create_copied(target, parts, layer, kind)
                                 : create_virtual(target, entries, kept.folder, layer, kind);
      const AttributeWriter attributes(out, dataset.get());
      if (const std::int64_t n = parts.saturated(layer, kind); n > 0)
        attributes.i64("saturated", n);
      if (kind == Kind::kQ) write_query_attributes(out, dataset.get(), info, layer);
    }
  }
  write_complete(out);
  out.commit([&](const fs::path& partial) { verify_dump(partial, folder); });
}

}  // namespace ra::store
