// SPDX-License-Identifier: Apache-2.0
// Prefill products of Qwen2.5-0.5B on all threads: FLOP/s per level, format and arithmetic.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "kernels/gemm.h"
#include "kernels/ops.h"
#include "lib/core/matrix.h"
#include "lib/core/parallel.h"
#include "tests/support/quant_blocks.h"

namespace {

using namespace ra;
using namespace ra::kernels;

struct Shape {
  std::size_t tokens, rows, cols;
};

void gemm_bench(benchmark::State& state, Level level, Quant type, bool bf16_tiles, Shape s) {
  const OpTable& k = table_for(level);
  const QuantInfo& info = quant_info(type);
  const std::size_t row_bytes = s.cols / info.block * info.block_bytes;
  const auto w = testing::random_blocks(info, s.rows * s.cols / info.block, 1);
  const auto x = testing::random_floats(s.tokens * s.cols, 2);
  std::vector<float> y(s.tokens * s.rows);
  AlignedBuffer<std::byte> packed(gemm_packed_bytes(s.tokens, s.cols));
  std::vector<AlignedBuffer<std::byte>> scratch;
  for (int t = 0; t < threads(); ++t) scratch.emplace_back(gemm_scratch_bytes(s.cols));
  const auto n = static_cast<std::size_t>(threads());
  const std::size_t piece = (s.rows / n + kGemmRows - 1) / kGemmRows * kGemmRows;
  for (auto _ : state) {
    if (bf16_tiles)
      parallel_for((s.tokens + kGemmTokens - 1) / kGemmTokens, [&](std::size_t i, int) {
        const std::size_t t = i * kGemmTokens;
        k.gemm_pack(x.data() + t * s.cols, s.cols, std::min(kGemmTokens, s.tokens - t), s.cols,
                    packed.data() + gemm_packed_bytes(t, s.cols));
      });
    parallel_for((s.rows + piece - 1) / piece, [&](std::size_t i, int thread) {
      const std::size_t r = i * piece;
      k.gemm({.type = type,
              .w = w.data() + r * row_bytes,
              .row_bytes = row_bytes,
              .rows = std::min(piece, s.rows - r),
              .cols = s.cols,
              .x = x.data(),
              .x_stride = s.cols,
              .tokens = s.tokens,
              .packed = bf16_tiles ? packed.data() : nullptr,
              .y = y.data() + r,
              .y_stride = s.rows,
              .scratch = scratch[static_cast<std::size_t>(thread)].data()});
    });
    benchmark::ClobberMemory();
  }
  state.counters["flops"] =
      benchmark::Counter(2.0 * static_cast<double>(s.tokens * s.rows * s.cols),
                         benchmark::Counter::kIsIterationInvariantRate);
}

}  // namespace

// <program> [benchmark options] [threads]: by default all cores and wall time; one thread is
// measured in CPU time, which means something on a busy machine too.
int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  set_threads(argc > 1 ? std::atoi(argv[1]) : 0);
  for (const Level level : kAllLevels) {
    if (level == Level::kScalar || !cpu_has(level)) continue;
    for (const Quant type : {Quant::kQ4_K, Quant::kQ8_0, Quant::kBF16})
      for (const Shape s : {Shape{1024, 896, 896},
                            {1024, 4864, 896},
                            {1024, 896, 4864},
                            {64, 896, 896},
                            {64, 4864, 896}}) {
        if (s.cols % quant_info(type).block != 0) continue;
        const bool tiles = table_for(level).gemm_pack != nullptr;
        const std::string name = "gemm/" + std::string(level_name(level)) + "/" +
                                 std::string(quant_info(type).name) + "/" +
                                 std::to_string(s.tokens) + "x" + std::to_string(s.rows) + "x" +
                                 std::to_string(s.cols);
        auto* b = benchmark::RegisterBenchmark(name.c_str(), gemm_bench, level, type, tiles, s)
                      ->Unit(benchmark::kMillisecond);
        if (threads() > 1) b->UseRealTime();
      }
  }
  benchmark::RunSpecifiedBenchmarks();
}
