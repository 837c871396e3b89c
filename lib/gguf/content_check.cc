// SPDX-License-Identifier: Apache-2.0
#include "lib/gguf/content_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <vector>

#include "kernels/quant.h"
#include "lib/core/error.h"
#include "lib/core/parallel.h"

namespace ra::gguf {
namespace {

constexpr std::size_t kSliceBytes = std::size_t{4} << 20;

struct Slice {
  const Tensor* tensor;
  const kernels::QuantInfo* quant;
  std::size_t first_block, blocks;

  // Index of the first bad block in the tensor, or -1.
  std::ptrdiff_t first_bad() const {
    const std::ptrdiff_t bad =
        quant->first_bad_block(tensor->data + first_block * quant->block_bytes, blocks);
    return bad < 0 ? -1 : bad + static_cast<std::ptrdiff_t>(first_block);
  }
};

std::vector<Slice> slices_of(std::span<const Tensor> tensors) {
  std::vector<Slice> slices;
  for (const Tensor& t : tensors) {
    const auto& quant = kernels::quant_info(static_cast<kernels::Quant>(t.type));
    const std::size_t step = kSliceBytes / quant.block_bytes;
    const auto blocks = static_cast<std::size_t>(t.bytes / quant.block_bytes);
    for (std::size_t first = 0; first < blocks; first += step)
      slices.push_back({&t, &quant, first, std::min(step, blocks - first)});
  }
  return slices;
}

}  // namespace

void check_content(std::span<const Tensor> tensors, const std::string& file) {
  const std::vector<Slice> slices = slices_of(tensors);
  std::atomic<std::size_t> first{slices.size()};  // smallest index of a slice with a bad block
  const auto check = [&](std::size_t i, int) {
    if (i > first.load(std::memory_order_relaxed) || slices[i].first_bad() < 0) return;
    std::size_t seen = first.load();
    while (i < seen && !first.compare_exchange_weak(seen, i)) {
    }
  };
  std::uint64_t bytes = 0;
  for (const Tensor& t : tensors) bytes += t.bytes;
  if (bytes > kSliceBytes)
    parallel_for(slices.size(), check);
  else  // waking the threads would take longer
    for (std::size_t i = 0; i < slices.size(); ++i) check(i, 0);
  if (first == slices.size()) return;

  const Slice& slice = slices[first];
  // A file changed under the map may have become good again meanwhile: then name the slice.
  const auto block = static_cast<std::uint64_t>(
      std::max(slice.first_bad(), static_cast<std::ptrdiff_t>(slice.first_block)));
  const std::uint64_t row = block * slice.quant->block / slice.tensor->cols();
  fail_bad_data({.what = "bad tensor",
                 .file = file,
                 .where = fmt::format("{} at byte {}", slice.tensor->name,
                                      slice.tensor->file_offset + block * slice.quant->block_bytes),
                 .why = fmt::format("{} block {} (row {}) has a {} that is NaN or infinite",
                                    slice.quant->name, block, row,
                                    slice.quant->block == 1 ? "value" : "scale"),
                 .hint = "damaged file? --check-tensors off loads it all the same"});
}

}  // namespace ra::gguf
