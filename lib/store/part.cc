// SPDX-License-Identifier: Apache-2.0
#include "lib/store/part.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "lib/core/error.h"
#include "lib/core/hash.h"
#include "lib/store/attributes.h"
#include "lib/store/convert.h"
#include "lib/store/dataset.h"
#include "lib/store/dump_info.h"

namespace ra::store {
namespace fs = std::filesystem;
namespace {

constexpr char kNames[] = {'k', 'v', 'q'};

}  // namespace

OpenPart::OpenPart(const DumpInfo& info, const WriterOptions& options, std::vector<int> layers,
                   const Range& range)
    : info_(info), options_(options), range_(range) {
  const auto queries = rows_of(info, range, Kind::kQ);
  memory_ = AlignedBuffer<std::byte>(
      vector_bytes(info, std::ssize(layers), range.token_end - range.token_begin, queries));
  std::byte* next = memory_.data();
  for (const int number : layers) {
    Layer layer{.number = number, .end = range.token_begin, .slots = {}};
    for (const Kind kind : kKinds) {
      const auto [heads, width] = shape_of(info, kind);
      Slot& slot = layer.slots[static_cast<int>(kind)];
      slot = {next, rows_of(info, range, kind), 0};
      next += static_cast<std::size_t>(heads * slot.rows * width) * bytes_of(info.dtype);
    }
    layers_.push_back(layer);
  }
  RA_CHECK(next == memory_.data() + memory_.size());
}

OpenPart::Layer& OpenPart::find(int layer) {
  for (Layer& l : layers_)
    if (l.number == layer) return l;
  RA_CHECK(!"a layer of another part");
  std::abort();
}

std::int64_t OpenPart::end_of(int layer) const {
  return const_cast<OpenPart*>(this)->find(layer).end;
}

std::int64_t OpenPart::end_of_all() const {
  std::int64_t end = range_.token_end;
  for (const Layer& layer : layers_) end = std::min(end, layer.end);
  return end;
}

void OpenPart::store_row(Layer& layer, Kind kind, std::int64_t row, std::int64_t pos,
                         const float* values) {
  const auto [heads, width] = shape_of(info_, kind);
  const std::size_t element = bytes_of(info_.dtype);
  Slot& slot = layer.slots[static_cast<int>(kind)];
  Narrowed sum;
  for (std::int64_t h = 0; h < heads; ++h)
    sum += narrow(info_.dtype, values + h * width, static_cast<std::size_t>(width),
                  slot.data + static_cast<std::size_t>((h * slot.rows + row) * width) * element);
  if (sum.not_finite == 0 && (sum.overflow == 0 || options_.allow_saturate)) {
    slot.saturated += static_cast<std::int64_t>(sum.overflow);
    return;
  }
  const float* worst = std::max_element(values, values + heads * width, [](float a, float b) {
    return !std::isnan(a) && (std::isnan(b) || std::abs(a) < std::abs(b));
  });
  fail_bad_data({.what = sum.not_finite != 0 ? "bad activation" : "overflow",
                 .file = options_.out.string(),
                 .where = fmt::format("layer {}, {}, token {}", layer.number,
                                      kNames[static_cast<int>(kind)], pos),
                 .why = sum.not_finite != 0
                            ? fmt::format("value {} of element {}", *worst, worst - values)
                            : fmt::format("value {} does not fit {}", *worst, name_of(info_.dtype)),
                 .hint = sum.not_finite != 0 ? "are the weights damaged?"
                                             : "--dtype f32 or bf16, or --allow-saturate"});
}

void OpenPart::append(int layer, std::int64_t pos, MatView<const float> q, MatView<const float> k,
                      MatView<const float> v) {
  Layer& l = find(layer);
  const auto n = static_cast<std::int64_t>(k.rows);
  RA_CHECK(pos == l.end && pos + n <= range_.token_end && q.rows == k.rows && v.rows == k.rows);
  std::int64_t query = query_rows(info_, range_.token_begin, pos).second -
                       query_rows(info_, range_.token_begin, pos).first;
  const auto first_query = query_rows(info_, 0, range_.token_begin).second;
  for (std::int64_t i = 0; i < n; ++i) {
    const auto row = static_cast<std::size_t>(i);
    const std::int64_t at = pos + i - range_.token_begin;
    store_row(l, Kind::kK, at, pos + i, k.row(row));
    store_row(l, Kind::kV, at, pos + i, v.row(row));
    const auto kept = static_cast<std::size_t>(first_query + query);
    if (kept < info_.q_pos.size() && info_.q_pos[kept] == pos + i)
      store_row(l, Kind::kQ, query++, pos + i, q.row(row));
  }
  l.end = pos + n;
}

namespace {

void write_attributes_of_part(const Hdf5Output& out, const Range& range,
                              const std::string& config) {
  const AttributeWriter root(out, out.id());
  root.text("format", kPartFormat);
  root.i64("format_version", kFormatVersion);
  root.i64("token_begin", range.token_begin);
  root.i64("token_end", range.token_end);
  root.i64("layer_begin", range.layer_begin);
  root.i64("layer_end", range.layer_end);
  root.text("config_sha256", config);
}

// The first `rows` of each head's `stride` rows.
void write_heads(const Hdf5Output& out, hid_t dataset, hid_t type, const std::byte* data,
                 std::int64_t heads, std::int64_t rows, std::int64_t stride, std::int64_t width) {
  const hsize_t held[] = {static_cast<hsize_t>(heads), static_cast<hsize_t>(stride),
                          static_cast<hsize_t>(width)};
  const hsize_t start[] = {0, 0, 0};
  const hsize_t block[] = {held[0], static_cast<hsize_t>(rows), held[2]};
  const Hid memory(out.check(H5Screate_simple(3, held, nullptr), "H5Screate"), H5Sclose);
  out.check(H5Sselect_hyperslab(memory.get(), H5S_SELECT_SET, start, nullptr, block, nullptr),
            "H5Sselect_hyperslab");
  out.check(H5Dwrite(dataset, type, memory.get(), H5S_ALL, H5P_DEFAULT, data), "H5Dwrite");
}

}  // namespace

PartEntry OpenPart::write(const fs::path& folder, std::int64_t token_end,
                          const std::string& config_sha256) const {
  const auto lock = hdf5_lock();
  PartEntry entry{.range = range_, .config_sha256 = config_sha256, .grid = {}};
  entry.range.token_end = token_end;
  entry.part = part_name(entry.range);
  const Hid type = file_type(info_.dtype);
  // A part of that name without a manifest line is what a killed run left: replace it.
  Hdf5Output out(folder / entry.part, true, 0);
  write_attributes_of_part(out, entry.range, config_sha256);
  create_group(out, "/layers");
  for (const Layer& layer : layers_) {
    create_group(out, layer_path(info_, layer.number));
    for (const Kind kind : kKinds) {
      const Slot& slot = layer.slots[static_cast<int>(kind)];
      const auto [heads, width] = shape_of(info_, kind);
      const std::int64_t rows = rows_of(info_, entry.range, kind);
      if (rows == 0) continue;  // no query of this range is kept
      const auto chunk = static_cast<hsize_t>(chunk_rows(rows, width, bytes_of(info_.dtype)));
      const Hid dataset = create_dataset(
          out, vector_path(info_, layer.number, kind), type.get(),
          {static_cast<hsize_t>(heads), static_cast<hsize_t>(rows), static_cast<hsize_t>(width)},
          {{1, chunk, static_cast<hsize_t>(width)}, options_.gzip});
      write_heads(out, dataset.get(), type.get(), slot.data, heads, rows, slot.rows, width);
      const AttributeWriter attributes(out, dataset.get());
      if (slot.saturated > 0) attributes.i64("saturated", slot.saturated);
      if (kind == Kind::kQ) write_query_attributes(out, dataset.get(), info_, layer.number);
      out.check_disk();
    }
  }
  out.commit([&](const fs::path& partial) {
    const Hid h5 = open_file(partial);
    std::vector<std::byte> head;
    for (const Layer& layer : layers_)
      for (const Kind kind : kKinds) {
        const auto [heads, width] = shape_of(info_, kind);
        const std::int64_t rows = rows_of(info_, entry.range, kind);
        if (rows == 0) continue;
        const std::string path = vector_path(info_, layer.number, kind);
        const Hid dataset = open_exact(
            partial, h5.get(), path, type.get(),
            {static_cast<hsize_t>(heads), static_cast<hsize_t>(rows), static_cast<hsize_t>(width)});
        head.resize(static_cast<std::size_t>(rows * width) * bytes_of(info_.dtype));
        for (std::int64_t h = 0; h < heads; ++h)
          read_rows(partial, path, dataset.get(), type.get(), h, 0, rows, width, head.data());
      }
  });
  entry.bytes = fs::file_size(folder / entry.part);
  entry.sha256 = sha256_file(folder / entry.part);
  return entry;
}

}  // namespace ra::store
