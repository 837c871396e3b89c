// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/act_scale.h"
#include "kernels/cuda/gemv.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/quantized_row.cuh"
#include "kernels/cuda/reduce.cuh"

namespace ra::cuda {
namespace {

constexpr unsigned kWarps = 4;

// One warp a block of kActBlock (32) activations: one lane each.
__global__ void quantize(QuantizeArgs a) {
  const std::size_t blocks = kernels::act_blocks(a.cols);
  const std::size_t task = blockIdx.x * std::size_t{kWarps} + threadIdx.x / kWarpSize;
  if (task >= a.tokens * blocks) return;  // whole warps
  const std::size_t token = task / blocks, block = task % blocks;
  const unsigned lane = threadIdx.x % kWarpSize;
  const std::size_t col = block * kernels::kActBlock + lane;
  const float x = col < a.cols ? a.x[token * a.x_stride + col] : 0.0f;

  unsigned max_bits = __float_as_uint(x) & 0x7fffffffu;
  for (unsigned step = kWarpSize / 2; step > 0; step /= 2) {
    const unsigned other = __shfl_xor_sync(kAllLanes, max_bits, static_cast<int>(step));
    max_bits = other > max_bits ? other : max_bits;
  }
  const kernels::ActScale s = kernels::act_scale(max_bits);
  const int rounded = s.is_bad ? 0 : __float2int_rn(__fmul_rn(x, s.inverse));
  const int high = (rounded + 128) >> 8, rest = rounded - 256 * high,
            low = rest < -127 ? -127 : rest;
  const int half_sum = warp_sum<16>(256 * high + low);
  const int other_half = __shfl_xor_sync(kAllLanes, half_sum, 16);

  const QuantizedRow out = quantized_row(a.out, token, a.cols);
  out.high[col] = static_cast<std::int8_t>(high);
  out.low[col] = static_cast<std::int8_t>(low);
  if (lane % 16 == 0) out.half_sum[2 * block + lane / 16] = s.scale * static_cast<float>(half_sum);
  if (lane == 0) {
    out.scale[block] = s.scale;
    out.sum[block] = s.scale * static_cast<float>(half_sum + other_half);
  }
}

}  // namespace

void quantize_rows(cudaStream_t stream, const QuantizeArgs& a) {
  const std::size_t tasks = a.tokens * kernels::act_blocks(a.cols);
  if (tasks > 0)
    launch(stream, {static_cast<unsigned>(divide_up<std::size_t>(tasks, kWarps))},
           {kWarps * kWarpSize}, quantize, a);
}

}  // namespace ra::cuda
