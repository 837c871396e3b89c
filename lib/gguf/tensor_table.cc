// SPDX-License-Identifier: Apache-2.0
#include "lib/gguf/tensor_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <string_view>
#include <unordered_set>

#include "kernels/quant.h"
#include "lib/core/error.h"
#include "lib/gguf/tensor_types.h"

namespace ra::gguf {
namespace {

constexpr std::string_view kWhat = "bad tensor";
// Name length, one dimension count, one dimension, type and offset.
constexpr std::uint64_t kMinRecordBytes = 8 + 4 + 8 + 4 + 8;

// Multiplies the dimensions out to bytes.
std::uint64_t size_in_bytes(const Cursor& in, const Tensor& t, const kernels::QuantInfo& quant) {
  if (t.cols() % quant.block != 0)
    in.fail(fmt::format("rows of {} weights are not whole {} blocks of {}", t.cols(), quant.name,
                        quant.block));
  std::optional<std::uint64_t> bytes = checked_mul(t.cols() / quant.block, quant.block_bytes);
  for (std::size_t i = 1; i < t.dims.size() && bytes; ++i) bytes = checked_mul(*bytes, t.dims[i]);
  if (!bytes) in.fail(fmt::format("dimensions [{}] overflow 64 bits", fmt::join(t.dims, ", ")));
  return *bytes;
}

// One record; `file_offset` still counts from the start of the data section.
Tensor read_record(Cursor& in, std::uint64_t alignment,
                   std::unordered_set<std::string_view>& names) {
  in.enter(kWhat, "");
  const std::string_view name = in.read_string(kMaxTensorNameBytes, "tensor name");
  if (name.empty()) in.fail("tensor without a name");
  if (!names.insert(name).second) in.fail(fmt::format("tensor '{}' is there twice", name));
  in.enter(kWhat, name);

  Tensor t;
  t.name = name;
  const auto n_dims = in.read<std::uint32_t>("dimension count");
  if (n_dims < 1 || n_dims > kMaxDims)
    in.fail(fmt::format("{} dimensions, 1 to {} are possible", n_dims, kMaxDims));
  t.dims.reserve(n_dims);
  for (std::uint32_t i = 0; i < n_dims; ++i) {
    t.dims.push_back(in.read<std::uint64_t>("dimension"));
    if (t.dims.back() < 1 || t.dims.back() > kMaxDim)
      in.fail(fmt::format("dimension {} is {}, the range is 1 to {}", i, t.dims.back(), kMaxDim));
  }
  t.type = in.read<std::uint32_t>("type");
  const kernels::QuantInfo* quant = kernels::find_quant(t.type);
  if (!quant) in.fail(refusal(t.type), "supported: " + supported_types());
  t.bytes = size_in_bytes(in, t, *quant);
  t.file_offset = in.read<std::uint64_t>("offset");
  if (t.file_offset % alignment != 0)
    in.fail(
        fmt::format("offset {} is not a multiple of the alignment {}", t.file_offset, alignment));
  return t;
}

[[noreturn]] void fail_extent(const Cursor& in, const Tensor& t, std::uint64_t at, std::string why,
                              std::string hint = "") {
  fail_bad_data({.what = std::string(kWhat),
                 .file = in.file(),
                 .where = fmt::format("{} at byte {}", t.name, at),
                 .why = std::move(why),
                 .hint = std::move(hint)});
}

// Turns the offset into one from the start of the file and the data pointer.
void place(const Cursor& in, Tensor& t, std::uint64_t data_begin) {
  const auto at = checked_add(data_begin, t.file_offset);
  if (!at || *at > in.size())
    fail_extent(in, t, data_begin,
                fmt::format("starts {} bytes into the data, the file ends {} bytes into it",
                            t.file_offset, in.size() - std::min(in.size(), data_begin)),
                "truncated download?");
  if (t.bytes > in.size() - *at)
    fail_extent(in, t, *at, fmt::format("needs {} bytes, {} left", t.bytes, in.size() - *at),
                "truncated download?");
  t.file_offset = *at;
  t.data = in.at(*at);
}

// Indices of the tensors in the order of their data; files are nearly always written that way.
std::vector<std::uint32_t> data_order(const std::vector<Tensor>& tensors) {
  std::vector<std::uint32_t> order(tensors.size());
  std::iota(order.begin(), order.end(), 0u);
  const auto begin = [&](std::uint32_t i) { return tensors[i].file_offset; };
  if (!std::ranges::is_sorted(order, {}, begin)) std::ranges::stable_sort(order, {}, begin);
  return order;
}

// Neighbours may not overlap: a tensor stored with too few bytes would read those of the next one.
void check_neighbours(const Cursor& in, const std::vector<Tensor>& tensors,
                      std::uint64_t data_begin, std::uint64_t alignment,
                      std::vector<std::string>& warnings) {
  std::uint64_t end = std::min(data_begin, in.size()), unused = 0, largest_gap = 0;
  const auto skip_to = [&](std::uint64_t begin) {
    unused += begin - end;
    largest_gap = std::max(largest_gap, begin - end);
  };
  const Tensor* previous = nullptr;
  for (const std::uint32_t i : data_order(tensors)) {
    const Tensor& t = tensors[i];
    if (previous && t.file_offset < end)
      fail_extent(in, *previous, previous->file_offset,
                  fmt::format("needs {} bytes, but {} starts {} bytes after it", previous->bytes,
                              t.name, t.file_offset - previous->file_offset));
    skip_to(t.file_offset);
    end = t.file_offset + t.bytes;
    previous = &t;
  }
  skip_to(in.size());
  if (largest_gap > alignment)
    warnings.push_back(fmt::format("{}: {} bytes belong to no tensor", escaped(in.file()), unused));
}

}  // namespace

std::vector<Tensor> read_tensors(Cursor& in, std::uint64_t count, std::uint64_t alignment,
                                 std::vector<std::string>& warnings) {
  in.enter("bad header", "tensor count");
  in.check_count(count, kMinRecordBytes, kMaxTensors, "tensors");
  std::vector<Tensor> tensors;
  tensors.reserve(static_cast<std::size_t>(count));
  {
    std::unordered_set<std::string_view> names;
    names.reserve(static_cast<std::size_t>(count));
    for (std::uint64_t i = 0; i < count; ++i) tensors.push_back(read_record(in, alignment, names));
  }
  // The end of the records is a real offset (< 2^63) and the alignment at most 2^20.
  const std::uint64_t data_begin = align_up(in.offset(), alignment).value();
  for (Tensor& t : tensors) place(in, t, data_begin);
  check_neighbours(in, tensors, data_begin, alignment, warnings);
  return tensors;
}

}  // namespace ra::gguf
