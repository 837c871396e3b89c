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
  GemmTasks(std::size_t weight_rows, std::size_t activation_rows, std::size_t most_rows) {
    const std::size_t wanted = 2 * static_cast<std::size_t>(threads());
    rows = std::min(most_rows, round_up(divide_up(weight_rows, wanted), kernels::kGemmRows));
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

// Weight rows of one panel of the kernels.
constexpr std::size_t kGemmPanel = 256, kGatedPanel = 128;

// Rows of one gemv task.
std::size_t few_rows_step(const Weight& w) {
  return std::max<std::size_t>(8, kTaskBytes / w.row_bytes / 8 * 8);
}

auto gated_op(Activation activation) {
  const kernels::OpTable& k = kernels::ops();
  return activation == Activation::kSilu ? k.swiglu : k.geglu;
}

bool is_quantised(const Weight& w) { return kernels::quant_info(w.type).block > 1; }

}  // namespace

const float* CpuBackend::vector(const Weight& w, std::size_t slot) {
  if (!w) return nullptr;
  if (w.type == kernels::Quant::kF32) return reinterpret_cast<const float*>(w.data);
  vectors_.resize(std::max(vectors_.size(), slot + 1));
  vectors_[slot].reserve_discard(w.cols);
  kernels::ops().decode_row(w.type, w.data, vectors_[slot].data(), w.cols);
  return vectors_[slot].data();
}

void CpuBackend::embed(const Weight& table, std::span<const std::int32_t> ids, float scale,
                       MatView<float> x) {
  for (const std::int32_t id : ids) RA_CHECK(id >= 0 && static_cast<std::size_t>(id) < table.rows);
  for_row_ranges(ids.size(), 32, [&](std::size_t first, std::size_t count, int) {
    for (std::size_t i = first; i < first + count; ++i) {
      kernels::ops().decode_row(table.type,
                                table.data + static_cast<std::size_t>(ids[i]) * table.row_bytes,
                                x.row(i), table.cols);
      for (std::size_t c = 0; scale != 1 && c < table.cols; ++c) x.row(i)[c] *= scale;
    }
  });
}

void CpuBackend::matmul(MatView<const float> x, std::initializer_list<Product> products) {
  std::vector<Job> jobs;
  for (const Product& p : products)
    jobs.push_back({&p.w, vector(p.bias, jobs.size()), /*add=*/false, p.y});
  multiply(jobs, x);
}

void CpuBackend::matmul_add(const Weight& w, MatView<const float> x, MatView<float> y) {
  multiply({{&w, nullptr, /*add=*/true, y}}, x);
}

void CpuBackend::multiply(const std::vector<Job>& jobs, MatView<const float> x) {
  for (const Job& j : jobs)
    RA_CHECK(x.cols == j.w->cols && j.y.cols == j.w->rows && x.rows == j.y.rows);
  if (x.rows <= kFewRows) return multiply_few(jobs, x);
  const std::byte* packed = pack(x);
  for (const Job& j : jobs) multiply_many(j, x, packed);
}

void CpuBackend::multiply_few(const std::vector<Job>& jobs, MatView<const float> x) {
  const kernels::Activations rows = activations(x, [&] {
    return std::ranges::any_of(jobs, [](const Job& j) { return is_quantised(*j.w); });
  }());
  std::size_t tasks = 0;
  std::vector<std::size_t> first_task;
  for (const Job& j : jobs) {
    first_task.push_back(tasks);
    tasks += divide_up(j.w->rows, few_rows_step(*j.w));
  }
  parallel_for(tasks, [&](std::size_t task, int) {
    std::size_t i = jobs.size() - 1;
    while (first_task[i] > task) --i;
    const Job& j = jobs[i];
    const std::size_t step = few_rows_step(*j.w), first = (task - first_task[i]) * step;
    const std::size_t count = std::min(step, j.w->rows - first);
    multiply_rows(*j.w, rows, first, count, j.add, j.y);
    for (std::size_t t = 0; j.bias != nullptr && t < j.y.rows; ++t)
      for (std::size_t r = first; r < first + count; ++r) j.y.row(t)[r] += j.bias[r];
  });
}

kernels::Activations CpuBackend::activations(MatView<const float> x, bool quantised) {
  kernels::Activations rows{.x = x.data, .x_stride = x.stride, .tokens = x.rows, .cols = x.cols};
  if (quantised && compute_ == Compute::kAuto) {
    activations_.reserve_discard(x.rows * kernels::quantized_row_bytes(x.cols));
    kernels::ops().quantize_rows(rows, activations_.data());
    rows.quantized = activations_.data();
  }
  return rows;
}

// y of weight rows first .. first + count.
void CpuBackend::multiply_rows(const Weight& w, const kernels::Activations& x, std::size_t first,
                               std::size_t count, bool add, MatView<float> y) const {
  const kernels::OpTable& k = kernels::ops();
  (compute_ == Compute::kF32 ? k.gemv_f32 : k.gemv)({.type = w.type,
                                                     .w = w.data + first * w.row_bytes,
                                                     .row_bytes = w.row_bytes,
                                                     .rows = count,
                                                     .x = x,
                                                     .y = y.data + first,
                                                     .y_stride = y.stride,
                                                     .add = add});
}

const std::byte* CpuBackend::pack(MatView<const float> x) {
  const kernels::OpTable& k = kernels::ops();
  if (compute_ == Compute::kF32 || k.gemm_pack == nullptr) return nullptr;
  activations_.reserve_discard(kernels::gemm_packed_bytes(x.rows, x.cols));
  for_row_ranges(x.rows, kernels::kGemmTokens, [&](std::size_t first, std::size_t count, int) {
    k.gemm_pack(x.row(first), x.stride, count, x.cols,
                activations_.data() + kernels::gemm_packed_bytes(first, x.cols));
  });
  return activations_.data();
}

std::byte* CpuBackend::scratch(int thread) {
  return scratch_[static_cast<std::size_t>(thread)].data();
}

void CpuBackend::reserve_scratch(std::size_t bytes) {
  scratch_.resize(static_cast<std::size_t>(threads()));
  for (auto& buffer : scratch_) buffer.reserve_discard(bytes);
}

// x is not read where there are tiles.
void CpuBackend::multiply_many(const Job& j, MatView<const float> x, const std::byte* packed) {
  const Weight& w = *j.w;
  reserve_scratch(kernels::gemm_scratch_bytes(w.cols));
  const GemmTasks tasks(w.rows, j.y.rows, kGemmPanel);
  parallel_for(tasks.count, [&](std::size_t task, int thread) {
    const std::size_t r = task % tasks.row_tasks * tasks.rows;
    const std::size_t t = task / tasks.row_tasks * tasks.tokens;
    kernels::ops().gemm(
        {.type = w.type,
         .w = w.data + r * w.row_bytes,
         .row_bytes = w.row_bytes,
         .rows = std::min(tasks.rows, w.rows - r),
         .cols = w.cols,
         .x = packed != nullptr ? nullptr : x.row(t),
         .x_stride = x.stride,
         .tokens = std::min(tasks.tokens, j.y.rows - t),
         .packed = packed != nullptr ? packed + kernels::gemm_packed_bytes(t, w.cols) : nullptr,
         .bias = j.bias != nullptr ? j.bias + r : nullptr,
         .add = j.add,
         .y = j.y.row(t) + r,
         .y_stride = j.y.stride,
         .scratch = scratch(thread)});
  });
}

void CpuBackend::feed_forward(const FeedForward& w, MatView<const float> h, MatView<float> y) {
  RA_CHECK(w.gate.rows == w.up.rows && w.gate.cols == w.up.cols && w.down.cols == w.gate.rows);
  RA_CHECK(h.cols == w.gate.cols && y.cols == w.down.rows && h.rows == y.rows);
  const bool tiles = compute_ == Compute::kAuto && kernels::ops().gemm_gated != nullptr;
  if (h.rows > kFewRows && tiles) return feed_forward_tiles(w, h, y);
  if (gate_.rows() < h.rows || gate_.cols() != w.gate.rows) {
    gate_ = Matrix<float>(h.rows, w.gate.rows);
    up_ = Matrix<float>(h.rows, w.gate.rows);
  }
  const MatView<float> gate = gate_.view().row_range(0, h.rows),
                       up = up_.view().row_range(0, h.rows);
  if (h.rows <= kFewRows) {
    gate_few(w, h, gate, up);
  } else {
    multiply({{&w.gate, nullptr, false, gate}, {&w.up, nullptr, false, up}}, h);
    const auto gated = gated_op(w.activation);
    for_row_ranges(h.rows, 16, [&](std::size_t first, std::size_t count, int) {
      for (std::size_t t = first; t < first + count; ++t) gated(up.row(t), gate.row(t), up.cols);
    });
  }
  multiply({{&w.down, nullptr, w.add, y}}, gate);
}

// gate = a(h gate^T) * (h up^T), a range of columns a task.
void CpuBackend::gate_few(const FeedForward& w, MatView<const float> h, MatView<float> gate,
                          MatView<float> up) {
  const kernels::Activations rows = activations(h, is_quantised(w.gate) || is_quantised(w.up));
  const std::size_t step = std::min(few_rows_step(w.gate), few_rows_step(w.up));
  const auto gated = gated_op(w.activation);
  for_row_ranges(w.gate.rows, step, [&](std::size_t first, std::size_t count, int) {
    multiply_rows(w.gate, rows, first, count, /*add=*/false, gate);
    multiply_rows(w.up, rows, first, count, /*add=*/false, up);
    for (std::size_t t = 0; t < h.rows; ++t) gated(up.row(t) + first, gate.row(t) + first, count);
  });
}

void CpuBackend::feed_forward_tiles(const FeedForward& w, MatView<const float> h,
                                    MatView<float> y) {
  const std::byte* packed = pack(h);
  hidden_.reserve_discard(kernels::gemm_packed_bytes(h.rows, w.gate.rows));
  reserve_scratch(kernels::gated_scratch_bytes(h.rows, h.cols));
  const auto rows_from = [](const Weight& m, std::size_t r) {
    return kernels::WeightRows{
        .type = m.type, .w = m.data + r * m.row_bytes, .row_bytes = m.row_bytes};
  };
  const GemmTasks tasks(w.gate.rows, h.rows, kGatedPanel);
  parallel_for(tasks.count, [&](std::size_t task, int thread) {
    const std::size_t r = task % tasks.row_tasks * tasks.rows;
    const std::size_t t = task / tasks.row_tasks * tasks.tokens;
    kernels::ops().gemm_gated({.gate = rows_from(w.gate, r),
                               .up = rows_from(w.up, r),
                               .activation = w.activation,
                               .rows = std::min(tasks.rows, w.gate.rows - r),
                               .cols = h.cols,
                               .tokens = std::min(tasks.tokens, h.rows - t),
                               .packed = packed + kernels::gemm_packed_bytes(t, h.cols),
                               .out = hidden_.data() + kernels::gemm_packed_bytes(t, w.gate.rows),
                               .out_cols = w.gate.rows,
                               .first = r,
                               .scratch = scratch(thread)});
  });
  multiply_many({&w.down, nullptr, w.add, y}, {}, hidden_.data());
}

void CpuBackend::add(MatView<const float> y, MatView<float> x) {
  for_row_ranges(x.rows, 32, [&](std::size_t first, std::size_t count, int) {
    for (std::size_t t = first; t < first + count; ++t)
      for (std::size_t c = 0; c < x.cols; ++c) x.row(t)[c] += y.row(t)[c];
  });
}

void CpuBackend::rms_norm(MatView<const float> x, const Weight& gain, float eps, MatView<float> y) {
  const float* g = vector(gain, 0);
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

}  // namespace ra::model
