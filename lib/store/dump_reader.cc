// SPDX-License-Identifier: Apache-2.0
#include "lib/store/dump_reader.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <mutex>
#include <utility>

#include "lib/core/error.h"
#include "lib/core/hash.h"
#include "lib/store/convert.h"
#include "lib/store/dataset.h"
#include "lib/store/vector_set.h"

namespace ra::store {
namespace fs = std::filesystem;
namespace {

class Reader final : public DumpReader {
 public:
  // An empty `folder`: where the file says, beside it.
  Reader(fs::path file, fs::path folder) : file_(std::move(file)) {
    const auto lock = hdf5_lock();
    DumpParts parts;
    {
      const Hid h5 = open_file(file_);
      read_info(file_, h5.get(), info_, parts);
    }
    if (parts.folder.empty()) {
      vectors_ = std::make_unique<VectorSet>(info_, file_);
    } else {
      if (folder.empty()) folder = file_.parent_path() / parts.folder;
      vectors_ = open_parts(folder, parts);
    }
    for (const int layer : info_.layers) {
      const auto [scale, attributes] = vectors_->queries(layer);
      if (layer == info_.layers.front()) info_.scale = scale;
      if (!(scale > 0) || scale != info_.scale)
        refuse_dataset(file_, vector_path(info_, layer, Kind::kQ),
                       fmt::format("has scale {}, the first layer {}", scale, info_.scale));
      if (attributes != LayerAttributes{}) info_.layer_attributes[layer] = attributes;
    }
    // Shapes, types and storage of every dataset, now rather than in the middle of a run.
    if (parts.folder.empty())
      for (const int layer : info_.layers)
        for (const Kind kind : kKinds) (void)vectors_->saturated(layer, kind);
  }

  const DumpInfo& info() const override { return info_; }
  const fs::path& path() const override { return file_; }
  std::string sha256() const override {
    const std::lock_guard guard(hash_mutex_);
    if (sha256_.empty()) sha256_ = sha256_file(file_);
    return sha256_;
  }
  bool has_layer(int layer) const override {
    return std::binary_search(info_.layers.begin(), info_.layers.end(), layer);
  }
  void check_layer(int layer) const override {
    if (!has_layer(layer))
      fail_bad_data({.what = "no such layer",
                     .file = file_.string(),
                     .where = fmt::format("layer {}", layer),
                     .why = fmt::format("the dump holds {} of {} layers, not this one",
                                        info_.layers.size(), info_.n_layers)});
    if (!has_short_window(layer)) return;
    std::vector<int> others;
    for (const int l : info_.layers)
      if (!has_short_window(l)) others.push_back(l);
    fail_bad_data({.what = "unsupported layer",
                   .file = file_.string(),
                   .where = fmt::format("layer {}", layer),
                   .why = fmt::format("its queries see only the last {} keys",
                                      info_.layer_attributes.at(layer).sliding_window),
                   .hint = others.empty() ? "no layer of this dump sees all keys"
                                          : fmt::format("--layers {}", fmt::join(others, ","))});
  }

  Matrix<float> read_k(int layer, int kv_head, std::int64_t first,
                       std::int64_t count) const override {
    return read(layer, Kind::kK, kv_head, first, count);
  }
  Matrix<float> read_v(int layer, int kv_head, std::int64_t first,
                       std::int64_t count) const override {
    return read(layer, Kind::kV, kv_head, first, count);
  }
  Matrix<float> read_q(int layer, int head, std::int64_t first, std::int64_t count) const override {
    return read(layer, Kind::kQ, head, first, count);
  }

  void read_all() const {
    constexpr std::int64_t kRows = 8192;
    std::vector<std::byte> buffer;
    for (const int layer : info_.layers)
      for (const Kind kind : kKinds) {
        const auto [heads, width] = shape_of(info_, kind);
        const std::int64_t rows = kind == Kind::kQ ? std::ssize(info_.q_pos) : info_.n_tokens;
        buffer.resize(static_cast<std::size_t>(std::min(rows, kRows) * width) *
                      bytes_of(info_.dtype));
        const auto lock = hdf5_lock();
        for (std::int64_t head = 0; head < heads; ++head)
          for (std::int64_t first = 0; first < rows; first += kRows)
            vectors_->read(layer, kind, head, first, std::min(kRows, rows - first), buffer.data());
      }
  }

 private:
  // A window that holds every token leaves nothing out.
  bool has_short_window(int layer) const {
    const auto found = info_.layer_attributes.find(layer);
    return found != info_.layer_attributes.end() && found->second.sliding_window > 0 &&
           found->second.sliding_window < info_.n_tokens;
  }

  std::unique_ptr<VectorSet> open_parts(const fs::path& folder, const DumpParts& parts) const {
    std::error_code error;
    const fs::path manifest = manifest_file(folder);
    if (!fs::is_regular_file(manifest, error))
      fail_bad_data({.what = "bad dump",
                     .file = file_.string(),
                     .where = manifest.string(),
                     .why = "is missing",
                     .hint = "the dump and its .parts folder belong together"});
    if (sha256_file(manifest) != parts.manifest_sha256)
      fail_bad_data({.what = "bad dump",
                     .file = file_.string(),
                     .where = manifest.string(),
                     .why = "is not the manifest that this dump was made with"});
    const auto entries = read_manifest(folder);
    for (const PartEntry& e : entries)
      if (e.config_sha256 != parts.config_sha256)
        fail_bad_data({.what = "bad part",
                       .file = (folder / e.part).string(),
                       .where = "",
                       .why = "belongs to another run"});
    return std::make_unique<VectorSet>(info_, folder, entries);
  }

  Matrix<float> read(int layer, Kind kind, int head, std::int64_t first, std::int64_t count) const {
    check_layer(layer);
    const auto [heads, width] = shape_of(info_, kind);
    const std::int64_t rows = kind == Kind::kQ ? std::ssize(info_.q_pos) : info_.n_tokens;
    RA_CHECK(head >= 0 && head < heads && first >= 0 && count >= 0 && first <= rows - count);
    const auto n = static_cast<std::size_t>(count * width);
    Matrix<float> out(static_cast<std::size_t>(count), static_cast<std::size_t>(width));
    if (n == 0) return out;
    if (info_.dtype == DType::kF32) {
      const auto lock = hdf5_lock();
      vectors_->read(layer, kind, head, first, count, reinterpret_cast<std::byte*>(out.data()));
    } else {
      // HDF5 would convert bf16 at 166 ns per value; the raw words take about one.
      AlignedBuffer<std::uint16_t> words(n);
      {
        const auto lock = hdf5_lock();
        vectors_->read(layer, kind, head, first, count, reinterpret_cast<std::byte*>(words.data()));
      }
      widen(info_.dtype, words.data(), n, out.data());
    }
    for (std::size_t row = 0; row < out.rows(); ++row)
      for (const float v : out.row_span(row))
        if (!std::isfinite(v))
          fail_bad_data({.what = "bad vector",
                         .file = file_.string(),
                         .where = fmt::format("{} head {} row {}", vector_path(info_, layer, kind),
                                              head, first + static_cast<std::int64_t>(row)),
                         .why = std::isnan(v) ? "holds NaN" : "holds infinity",
                         .hint = "not written by ra-dump, which refuses them"});
    return out;
  }

  fs::path file_;
  DumpInfo info_;
  std::unique_ptr<VectorSet> vectors_;
  mutable std::mutex hash_mutex_;
  mutable std::string sha256_;
};

}  // namespace

std::unique_ptr<DumpReader> DumpReader::open(const fs::path& file) {
  return std::make_unique<Reader>(file, fs::path());
}

void verify_dump(const fs::path& file, const fs::path& folder) { Reader(file, folder).read_all(); }

DumpParts read_parts_info(const fs::path& file) {
  const auto lock = hdf5_lock();
  const Hid h5 = open_file(file);
  DumpInfo info;
  DumpParts parts;
  read_info(file, h5.get(), info, parts);
  return parts;
}

}  // namespace ra::store
