// SPDX-License-Identifier: Apache-2.0
#include "lib/model/cpu_backend.h"

#include <algorithm>
#include <cmath>

#include "kernels/ops.h"
#include "lib/core/error.h"
#include "lib/core/parallel.h"

namespace ra::model {
namespace {

// Above this many rows decoding a weight panel once is cheaper than reading it per row.
constexpr std::size_t kFewRows = 8;
// Weights of one gemv task: about 10 us of memory reads, against some 2 us to hand a task out.
constexpr std::size_t kTaskBytes = std::size_t{96} << 10;

// Calls body(first, count) for ranges of `step` rows, in parallel.
template <class Body>
void for_row_ranges(std::size_t rows, std::size_t step, Body&& body) {
  parallel_for((rows + step - 1) / step, [&](std::size_t i, int thread) {
    body(i * step, std::min(step, rows - i * step), thread);
  });
}

std::size_t divide_up(std::size_t n, std::size_t by) { return (n + by - 1) / by; }

// The blocks of Y that gemm tasks compute.
struct GemmTasks {
  // Two tasks a thread, so that a thread that is held up costs half a share. Tall panels of weight
  // rows come first, since each task reads all its activations; where the rows do not suffice, the
  // tokens are split too, and each split decodes the weights again.
  GemmTasks(std::size_t weight_rows, std::size_t activation_rows) {
    constexpr std::size_t kMostRows = 256;  // one panel of the kernel
    const std::size_t wanted = 2 * static_cast<std::size_t>(threads());
    rows = std::min(kMostRows, round_up(divide_up(weight_rows, wanted), kernels::kGemmRows));
    row_tasks = divide_up(weight_rows, rows);
    const std::size_t splits = divide_up(wanted, row_tasks);
    tokens =
        std::max(kFewestTokens, round_up(divide_up(activation_rows, splits), kernels::kGemmTokens));
    count = row_tasks * divide_up(activation_rows, tokens);
  }
  static std::size_t round_up(std::size_t n, std::size_t to) { return divide_up(n, to) * to; }

  static constexpr std::size_t kFewestTokens = 8 * kernels::kGemmTokens;
  std::size_t rows = 0, tokens = 0;  // of a task
  std::size_t row_tasks = 0, count = 0;
};

}  // namespace

const float* CpuBackend::vector(const Weight& w) {
  if (!w) return nullptr;
  if (w.type == kernels::Quant::kF32) return reinterpret_cast<const float*>(w.data);
  vector_.reserve_discard(w.cols);
  kernels::ops().decode_row(w.type, w.data, vector_.data(), w.cols);
  return vector_.data();
}

void CpuBackend::embed(const Weight& table, std::span<const std::int32_t> ids, MatView<float> x) {
  for (const std::int32_t id : ids) RA_CHECK(id >= 0 && static_cast<std::size_t>(id) < table.rows);
  for_row_ranges(ids.size(), 32, [&](std::size_t first, std::size_t count, int) {
    for (std::size_t i = first; i < first + count; ++i)
      kernels::ops().decode_row(table.type,
                                table.data + static_cast<std::size_t>(ids[i]) * table.row_bytes,
                                x.row(i), table.cols);
  });
}

void CpuBackend::matmul(const Weight& w, const Weight& bias, MatView<const float> x,
                        MatView<float> y) {
  multiply(w, vector(bias), /*add=*/false, x, y);
}

void CpuBackend::matmul_add(const Weight& w, MatView<const float> x, MatView<float> y) {
  multiply(w, nullptr, /*add=*/true, x, y);
}

void CpuBackend::multiply(const Weight& w, const float* bias, bool add, MatView<const float> x,
                          MatView<float> y) {
  RA_CHECK(x.cols == w.cols && y.cols == w.rows && x.rows == y.rows);
  if (x.rows <= kFewRows)
    multiply_few(w, bias, add, x, y);
  else
    multiply_many(w, bias, add, x, y);
}

void CpuBackend::multiply_few(const Weight& w, const float* bias, bool add, MatView<const float> x,
                              MatView<float> y) {
  const kernels::OpTable& k = kernels::ops();
  kernels::Activations rows{.x = x.data, .x_stride = x.stride, .tokens = x.rows, .cols = x.cols};
  const bool exact = compute_ == Compute::kF32;
  if (!exact && kernels::quant_info(w.type).block > 1) {
    activations_.reserve_discard(x.rows * kernels::quantized_row_bytes(x.cols));
    k.quantize_rows(rows, activations_.data());
    rows.quantized = activations_.data();
  }
  const std::size_t step = std::max<std::size_t>(8, kTaskBytes / w.row_bytes / 8 * 8);
  for_row_ranges(w.rows, step, [&](std::size_t first, std::size_t count, int) {
    (exact ? k.gemv_f32 : k.gemv)({.type = w.type,
                                   .w = w.data + first * w.row_bytes,
                                   .row_bytes = w.row_bytes,
                                   .rows = count,
                                   .x = rows,
                                   .y = y.data + first,
                                   .y_stride = y.stride,
                                   .add = add});
    for (std::size_t t = 0; bias != nullptr && t < y.rows; ++t)
      for (std::size_t r = first; r < first + count; ++r) y.row(t)[r] += bias[r];
  });
}

void CpuBackend::multiply_many(const Weight& w, const float* bias, bool add, MatView<const float> x,
                               MatView<float> y) {
  const kernels::OpTable& k = kernels::ops();
  const std::byte* packed = nullptr;
  if (compute_ == Compute::kAuto && k.gemm_pack != nullptr) {
    activations_.reserve_discard(kernels::gemm_packed_bytes(x.rows, x.cols));
    for_row_ranges(x.rows, kernels::kGemmTokens, [&](std::size_t first, std::size_t count, int) {
      k.gemm_pack(x.row(first), x.stride, count, x.cols,
                  activations_.data() + kernels::gemm_packed_bytes(first, x.cols));
    });
    packed = activations_.data();
  }
  scratch_.resize(static_cast<std::size_t>(threads()));
  for (auto& buffer : scratch_) buffer.reserve_discard(kernels::gemm_scratch_bytes(x.cols));
  const GemmTasks tasks(w.rows, x.rows);
  parallel_for(tasks.count, [&](std::size_t task, int thread) {
    const std::size_t r = task % tasks.row_tasks * tasks.rows;
    const std::size_t t = task / tasks.row_tasks * tasks.tokens;
    k.gemm({.type = w.type,
            .w = w.data + r * w.row_bytes,
            .row_bytes = w.row_bytes,
            .rows = std::min(tasks.rows, w.rows - r),
            .cols = w.cols,
            .x = x.row(t),
            .x_stride = x.stride,
            .tokens = std::min(tasks.tokens, x.rows - t),
            .packed = packed != nullptr ? packed + kernels::gemm_packed_bytes(t, x.cols) : nullptr,
            .bias = bias != nullptr ? bias + r : nullptr,
            .add = add,
            .y = y.row(t) + r,
            .y_stride = y.stride,
            .scratch = scratch_[static_cast<std::size_t>(thread)].data()});
  });
}

void CpuBackend::rms_norm(MatView<const float> x, const Weight& gain, float eps, MatView<float> y) {
  const float* g = vector(gain);
  const auto rows = [&](std::size_t first, std::size_t count, int) {
    for (std::size_t t = first; t < first + count; ++t)
      kernels::ops().rms_norm({.x = x.row(t), .gain = g, .y = y.row(t), .n = x.cols, .eps = eps});
  };
  if (x.rows <= kFewRows)
    rows(0, x.rows, 0);
  else
    for_row_ranges(x.rows, 32, rows);
}

void CpuBackend::fill_angles(const Rope& rope, std::int64_t pos, std::size_t tokens) {
  const std::size_t half = rope.rotary_dims / 2;
  if (pos == angles_pos_ && tokens == angles_tokens_ && rope.magnitude == angles_magnitude_ &&
      std::ranges::equal(rope.inv_freq, angles_inv_freq_))
    return;
  cos_.reserve_discard(tokens * half);
  sin_.reserve_discard(tokens * half);
  for_row_ranges(tokens, 32, [&](std::size_t first, std::size_t count, int) {
    for (std::size_t t = first; t < first + count; ++t)
      for (std::size_t i = 0; i < half; ++i) {
        const double position = static_cast<double>(pos + static_cast<std::int64_t>(t));
        const double angle = position * rope.inv_freq[i];
        cos_.data()[t * half + i] = static_cast<float>(std::cos(angle)) * rope.magnitude;
        sin_.data()[t * half + i] = static_cast<float>(std::sin(angle)) * rope.magnitude;
      }
  });
  angles_inv_freq_.assign(rope.inv_freq.begin(), rope.inv_freq.end());
  angles_magnitude_ = rope.magnitude;
  angles_pos_ = pos;
  angles_tokens_ = tokens;
}

void CpuBackend::rope(const Rope& rope, std::int64_t pos, MatView<float> x) {
  RA_CHECK(rope.inv_freq.size() == rope.rotary_dims / 2);
  fill_angles(rope, pos, x.rows);
  const std::size_t half = rope.rotary_dims / 2;
  const auto rows = [&](std::size_t first, std::size_t count, int) {
    for (std::size_t t = first; t < first + count; ++t)
      kernels::ops().rope({.x = x.row(t),
                           .cos = cos_.data() + t * half,
                           .sin = sin_.data() + t * half,
                           .heads = x.cols / rope.head_dim,
                           .head_dim = rope.head_dim,
                           .rotary_dims = rope.rotary_dims,
                           .interleaved = rope.interleaved});
  };
  if (x.rows <= kFewRows)
    rows(0, x.rows, 0);
  else
    for_row_ranges(x.rows, 32, rows);
}

void CpuBackend::swiglu(MatView<const float> up, MatView<float> gate) {
  const auto rows = [&](std::size_t first, std::size_t count, int) {
    for (std::size_t t = first; t < first + count; ++t)
      kernels::ops().swiglu(up.row(t), gate.row(t), up.cols);
  };
  if (up.rows <= kFewRows)
    rows(0, up.rows, 0);
  else
    for_row_ranges(up.rows, 16, rows);
}

}  // namespace ra::model
