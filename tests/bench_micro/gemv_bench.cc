// SPDX-License-Identifier: Apache-2.0
// Decode matrix times vector per weight format, on the shapes of Qwen2.5-0.5B. The matrices cycle
// through more memory than the caches hold, as the layers of a model do, so bytes_per_second is to
// be read against the memory bandwidth (BM_Read). Threads: RA_THREADS, default the physical cores.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>

#include "kernels/ops.h"
#include "kernels/quant.h"
#include "lib/core/matrix.h"
#include "lib/core/parallel.h"
#include "lib/core/rng.h"

namespace {

using namespace ra;
using kernels::Quant;

// Bytes; above any last-level cache. RA_BENCH_MIB=1 shows what the kernels do in cache.
const std::size_t kPool = [] {
  const char* text = std::getenv("RA_BENCH_MIB");
  return std::size_t{text != nullptr ? std::strtoul(text, nullptr, 10) : 768} << 20;
}();

const AlignedBuffer<std::byte>& pool() {
  static const AlignedBuffer<std::byte> memory = [] {
    AlignedBuffer<std::byte> out(kPool);
    Rng rng(1);
    for (std::size_t i = 0; i < kPool; i += 8) {
      // Bit 14 of each half-word cleared and bit 13 set: read as f16, bf16 or f32 anywhere, it is
      // an ordinary number below 2.
      const std::uint64_t bits = (rng.next() & 0xbfffbfffbfffbfffu) | 0x2000200020002000u;
      std::memcpy(out.data() + i, &bits, 8);
    }
    return out;
  }();
  return memory;
}

void set_pool_threads() {
  static const bool done = [] {
    const char* text = std::getenv("RA_THREADS");
    set_threads(text != nullptr ? std::atoi(text) : 0);
    return true;
  }();
  benchmark::DoNotOptimize(done);
}

// y = W x, the rows split over the threads in pieces of about 128 KiB.
void matmul(const kernels::OpTable& k, const kernels::GemvArgs& whole) {
  const std::size_t piece =
      std::max<std::size_t>(4, (std::size_t{128} << 10) / whole.row_bytes & ~3u);
  const std::size_t pieces = (whole.rows + piece - 1) / piece;
  parallel_for(pieces, [&](std::size_t i, int) {
    kernels::GemvArgs part = whole;
    part.w = whole.w + i * piece * whole.row_bytes;
    part.rows = std::min(piece, whole.rows - i * piece);
    part.y = whole.y + i * piece;
    k.gemv(part);
  });
}

void BM_Gemv(benchmark::State& state, const kernels::QuantInfo& info, kernels::Level level) {
  if (!kernels::cpu_has(level)) return state.SkipWithError("this CPU lacks the level");
  set_pool_threads();
  const kernels::OpTable& k = kernels::table_for(level);
  const auto rows = static_cast<std::size_t>(state.range(0));
  const auto cols = static_cast<std::size_t>(state.range(1));
  const auto tokens = static_cast<std::size_t>(state.range(2));
  const std::size_t row_bytes = cols / info.block * info.block_bytes, bytes = rows * row_bytes;
  if (bytes > kPool) return state.SkipWithError("the matrix is larger than RA_BENCH_MIB");
  AlignedBuffer<float> x(tokens * cols), y(tokens * rows);
  Rng rng(2);
  for (float& v : x.span()) v = static_cast<float>(rng.normal());
  AlignedBuffer<std::byte> quantized(tokens * kernels::quantized_row_bytes(cols));

  kernels::GemvArgs a;
  a.type = info.id;
  a.row_bytes = row_bytes;
  a.rows = rows;
  a.x = {x.data(), cols, tokens, cols, quantized.data()};
  a.y = y.data();
  a.y_stride = rows;
  std::size_t at = 0;
  for (auto _ : state) {
    if (at + bytes > kPool) at = 0;
    a.w = pool().data() + at;
    at += (bytes + 63) / 64 * 64;
    k.quantize_rows(a.x, quantized.data());
    matmul(k, a);
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(bytes) * state.iterations());
}

// The bandwidth that a plain read of the same memory reaches.
void BM_Read(benchmark::State& state) {
  set_pool_threads();
  constexpr std::size_t kPiece = std::size_t{1} << 20;
  const kernels::OpTable& k = kernels::ops();
  std::size_t at = 0;
  const std::size_t step = std::min(64 * kPiece, kPool / kPiece * kPiece);
  if (step == 0) return state.SkipWithError("RA_BENCH_MIB is less than 1");
  for (auto _ : state) {
    if (at + step > kPool) at = 0;
    parallel_for(step / kPiece, [&](std::size_t i, int) {
      const auto* p = reinterpret_cast<const float*>(pool().data() + at + i * kPiece);
      benchmark::DoNotOptimize(k.dot(p, p, kPiece / 4));
    });
    at += step;
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(step) * state.iterations());
}
BENCHMARK(BM_Read)->UseRealTime();

const int registered = [] {
  for (const auto& info : kernels::all_quants())
    for (const kernels::Level level : kernels::kAllLevels) {
      if (level == kernels::Level::kScalar || level == kernels::Level::kAmx) continue;
      auto* bench = benchmark::RegisterBenchmark(
          ("BM_Gemv/" + std::string(info.name) + "/" + std::string(kernels::level_name(level)))
              .c_str(),
          [&info, level](benchmark::State& state) { BM_Gemv(state, info, level); });
      bench->UseRealTime()->ArgNames({"rows", "cols", "tokens"});
      if (896 % info.block == 0)
        bench->Args({4864, 896, 1})->Args({896, 896, 1})->Args({128, 896, 1});
      bench->Args({896, 4864, 1})->Args({896, 4864, 4});
      if (info.id == Quant::kQ8_0) bench->Args({151936, 896, 1});
    }
  return 0;
}();

}  // namespace
