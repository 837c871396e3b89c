// SPDX-License-Identifier: Apache-2.0
#include "lib/store/vector_set.h"

#include <fmt/format.h>

#include <algorithm>

#include "lib/core/error.h"
#include "lib/store/attributes.h"
#include "lib/store/dataset.h"

namespace ra::store {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kMaxOpen = 32;

[[noreturn]] void refuse_part(const fs::path& part, std::string why) {
  fail_bad_data(
      {.what = "bad part",
       .file = part.string(),
       .where = "",
       .why = std::move(why),
       .hint = "a dump above the single-file limit and its .parts folder belong together"});
}

void check_part_attributes(const fs::path& file, hid_t h5, const Range& range,
                           const std::string& config) {
  const AttributeReader root(file, "/", h5);
  if (root.text("format") != kPartFormat || root.i64("format_version") != kFormatVersion)
    refuse_part(file, "is no part of a dump");
  if (root.i64("layer_begin") != range.layer_begin || root.i64("layer_end") != range.layer_end ||
      root.i64("token_begin") != range.token_begin || root.i64("token_end") != range.token_end)
    refuse_part(file, "holds another range than the manifest says");
  if (root.text("config_sha256") != config) refuse_part(file, "belongs to another run");
}

}  // namespace

VectorSet::VectorSet(const DumpInfo& info, fs::path file)
    : info_(info), type_(file_type(info.dtype)) {
  sources_.push_back({std::move(file), {0, static_cast<int>(info.n_layers), 0, info.n_tokens}, ""});
}

VectorSet::VectorSet(const DumpInfo& info, const fs::path& folder,
                     const std::vector<PartEntry>& entries)
    : info_(info), type_(file_type(info.dtype)) {
  for (const PartEntry& e : entries) {
    const fs::path file = folder / e.part;
    std::error_code error;
    if (!fs::is_regular_file(fs::symlink_status(file, error))) refuse_part(file, "is missing");
    if (const auto bytes = fs::file_size(file, error); error || bytes != e.bytes)
      refuse_part(file, fmt::format("has {} bytes, must have {}", bytes, e.bytes));
    sources_.push_back({file, e.range, e.config_sha256});
  }
  std::sort(sources_.begin(), sources_.end(), [](const Source& a, const Source& b) {
    return std::pair(a.range.layer_begin, a.range.token_begin) <
           std::pair(b.range.layer_begin, b.range.token_begin);
  });
  check_coverage(folder);
}

void VectorSet::check_coverage(const fs::path& folder) const {
  for (const int layer : info_.layers) {
    std::int64_t next = 0;
    for (const Source& s : sources_) {
      if (layer < s.range.layer_begin || layer >= s.range.layer_end) continue;
      if (s.range.token_begin != next)
        refuse_part(s.file, fmt::format("starts at token {} of layer {}, must start at {}",
                                        s.range.token_begin, layer, next));
      next = s.range.token_end;
    }
    if (next != info_.n_tokens)
      refuse_part(folder,
                  fmt::format("holds {} of {} tokens of layer {}", next, info_.n_tokens, layer));
  }
}

VectorSet::Open& VectorSet::open(std::size_t source) const {
  const auto found =
      std::find_if(open_.begin(), open_.end(), [&](const Open& o) { return o.source == source; });
  if (found != open_.end()) {
    std::rotate(found, found + 1, open_.end());
    return open_.back();
  }
  if (open_.size() >= kMaxOpen) open_.pop_front();
  const Source& s = sources_[source];
  Open fresh{source, open_file(s.file), {}, {}};
  if (!s.config_sha256.empty())
    check_part_attributes(s.file, fresh.h5.get(), s.range, s.config_sha256);
  open_.push_back(std::move(fresh));
  return open_.back();
}

hid_t VectorSet::dataset(Open& open, int layer, Kind kind) const {
  const Source& s = sources_[open.source];
  std::string path = vector_path(info_, layer, kind);
  if (open.path != path) {
    const auto [heads, width] = shape_of(info_, kind);
    const auto rows = static_cast<hsize_t>(rows_of(info_, s.range, kind));
    open.path.clear();
    open.dataset = open_exact(s.file, open.h5.get(), path, type_.get(),
                              {static_cast<hsize_t>(heads), rows, static_cast<hsize_t>(width)});
    open.path = std::move(path);
  }
  return open.dataset.get();
}

void VectorSet::read(int layer, Kind kind, std::int64_t head, std::int64_t first,
                     std::int64_t count, std::byte* out) const {
  const std::int64_t width = shape_of(info_, kind).width;
  const std::size_t row_bytes = static_cast<std::size_t>(width) * bytes_of(info_.dtype);
  for (std::size_t i = 0; i < sources_.size() && count > 0; ++i) {
    const Range& r = sources_[i].range;
    if (layer < r.layer_begin || layer >= r.layer_end) continue;
    const auto [begin, end] = kind == Kind::kQ ? query_rows(info_, r.token_begin, r.token_end)
                                               : std::pair(r.token_begin, r.token_end);
    if (first < begin || first >= end) continue;
    const std::int64_t n = std::min(count, end - first);
    Open& file = open(i);
    const hid_t id = dataset(file, layer, kind);
    read_rows(sources_[i].file, file.path, id, type_.get(), head, first - begin, n, width, out);
    first += n;
    count -= n;
    out += static_cast<std::size_t>(n) * row_bytes;
  }
  RA_CHECK(count == 0);  // callers check the range, check_coverage the parts
}

VectorSet::Queries VectorSet::queries(int layer) const {
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    const Range& r = sources_[i].range;
    if (layer < r.layer_begin || layer >= r.layer_end || rows_of(info_, r, Kind::kQ) == 0) continue;
    Open& file = open(i);
    const AttributeReader q(sources_[i].file, vector_path(info_, layer, Kind::kQ),
                            dataset(file, layer, Kind::kQ));
    if (q.u8("post_rope") != 1)
      refuse_dataset(sources_[i].file, file.path, "is not marked as taken after RoPE");
    if (q.has("softcap"))
      refuse_dataset(sources_[i].file, file.path, "has a softcap",
                     "layers that cap their scores are not supported");
    Queries found{.scale = q.f64("scale"), .attributes = {}};
    if (q.has("sliding_window"))
      found.attributes.sliding_window = q.i64("sliding_window", 1, INT64_MAX);
    if (q.has("rope_base")) found.attributes.rope_base = q.f64("rope_base");
    return found;
  }
  refuse_dataset(sources_.front().file, layer_path(info_, layer), "has no queries");
}

std::int64_t VectorSet::saturated(int layer, Kind kind) const {
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    const Range& r = sources_[i].range;
    if (layer < r.layer_begin || layer >= r.layer_end || rows_of(info_, r, kind) == 0) continue;
    Open& file = open(i);
    const AttributeReader attributes(sources_[i].file, vector_path(info_, layer, kind),
                                     dataset(file, layer, kind));
    if (attributes.has("saturated")) sum += attributes.i64("saturated", 1, INT64_MAX / 1024);
  }
  return sum;
}

}  // namespace ra::store
