// SPDX-License-Identifier: Apache-2.0
// Attention of Qwen2.5-0.5B (14 query heads, 2 KV heads, dimension 64) on all threads: FLOP/s of a
// prefill chunk, bytes per second of decode over contiguous and over gathered keys.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "kernels/attend.h"
#include "kernels/ops.h"
#include "lib/core/matrix.h"
#include "lib/core/parallel.h"
#include "lib/core/rng.h"
#include "tests/support/random.h"

namespace {

using namespace ra;
using namespace ra::kernels;

constexpr std::size_t kHeads = 14, kKvHeads = 2, kGroup = kHeads / kKvHeads, kDim = 64;
constexpr float kScale = 0.125f;

KvRows rows_of(const std::vector<bf16>& k, const std::vector<bf16>& v, std::size_t n,
               std::size_t head) {
  return {.k = k.data() + head * n * kDim,
          .v = v.data() + head * n * kDim,
          .type = KvType::kBf16,
          .head_dim = kDim,
          .value_dim = kDim};
}

void causal_bench(benchmark::State& state, Level level, bool exact, std::size_t pos0,
                  std::size_t tokens, std::size_t tile) {
  const OpTable& table = table_for(level);
  const std::size_t n = pos0 + tokens;
  const auto k = testing::random_bf16(kKvHeads * n * kDim, 1);
  const auto v = testing::random_bf16(kKvHeads * n * kDim, 2);
  const auto q = testing::random_floats(tokens * kHeads * kDim, 3);
  std::vector<float> out(q.size());
  std::vector<AlignedBuffer<std::byte>> scratch;
  for (int t = 0; t < threads(); ++t)
    scratch.emplace_back(causal_scratch_bytes(tile, kGroup, kDim, kDim));
  const std::size_t tiles = (tokens + tile - 1) / tile;
  for (auto _ : state) {
    parallel_for(tiles * kKvHeads, [&](std::size_t i, int thread) {
      const std::size_t head = i % kKvHeads, t = (tiles - 1 - i / kKvHeads) * tile;
      const std::size_t at = t * kHeads * kDim + head * kGroup * kDim;
      table.attend_causal({.q = q.data() + at,
                           .q_stride = kHeads * kDim,
                           .tokens = std::min(tile, tokens - t),
                           .group = kGroup,
                           .pos0 = pos0 + t,
                           .kv = rows_of(k, v, n, head),
                           .scale = kScale,
                           .out = out.data() + at,
                           .out_stride = kHeads * kDim,
                           .exact_f32 = exact,
                           .scratch = scratch[static_cast<std::size_t>(thread)].data()});
    });
    benchmark::ClobberMemory();
  }
  const double scores =
      static_cast<double>(kHeads) *
      (static_cast<double>(tokens * pos0) + static_cast<double>(tokens * (tokens + 1)) / 2);
  state.counters["flops"] = benchmark::Counter(4 * scores * static_cast<double>(kDim),
                                               benchmark::Counter::kIsIterationInvariantRate);
}

void partial_bench(benchmark::State& state, Level level, std::size_t n, std::size_t chosen,
                   std::size_t copies) {
  const OpTable& table = table_for(level);
  // Several layers in turn, so that the keys come from memory as in a model.
  const std::vector<std::vector<bf16>> k(copies, testing::random_bf16(n * kDim, 1));
  const std::vector<std::vector<bf16>> v(copies, testing::random_bf16(n * kDim, 2));
  const auto q = testing::random_floats(kGroup * kDim, 3);
  Rng rng(1);
  std::vector<std::uint32_t> ids;
  for (std::size_t i = 0; i < chosen; ++i) ids.push_back(static_cast<std::uint32_t>(rng.below(n)));
  const std::size_t parts = 4 * static_cast<std::size_t>(threads());
  const std::size_t work = chosen > 0 ? chosen : n, piece = (work + parts - 1) / parts;
  std::vector<float> acc(parts * kGroup * kDim);
  std::size_t turn = 0;
  for (auto _ : state) {
    const std::size_t c = turn++ % copies;
    parallel_for(parts, [&](std::size_t i, int) {
      float* sums = acc.data() + i * kGroup * kDim;
      std::fill_n(sums, kGroup * kDim, 0.0f);
      Partial partials[kGroup];
      for (std::size_t g = 0; g < kGroup; ++g) partials[g].acc = sums + g * kDim;
      const std::size_t first = std::min(i * piece, work);
      table.attend_partial({.q = q.data(),
                            .q_stride = kDim,
                            .group = kGroup,
                            .kv = rows_of(k[c], v[c], n, 0),
                            .ids = chosen > 0 ? ids.data() + first : nullptr,
                            .first = chosen > 0 ? 0 : first,
                            .n = std::min(piece, work - first),
                            .scale = kScale,
                            .out = partials});
    });
    benchmark::ClobberMemory();
  }
  state.counters["bytes"] = benchmark::Counter(static_cast<double>(work * 2 * kDim * sizeof(bf16)),
                                               benchmark::Counter::kIsIterationInvariantRate);
}

// What the memory gives to a plain sum, as the mark to compare with.
void read_bench(benchmark::State& state) {
  const std::size_t words = std::size_t{64} << 20;
  std::vector<std::uint64_t> data(words, 1);
  const std::size_t parts = 64, piece = words / parts;
  std::vector<std::uint64_t> sums(parts * 8);
  for (auto _ : state) {
    parallel_for(parts, [&](std::size_t i, int) {
      std::uint64_t a = 0, b = 0, c = 0, d = 0;
      const std::uint64_t* p = data.data() + i * piece;
      for (std::size_t j = 0; j < piece; j += 16)  // a word of each line, two lines a turn
        a += p[j], b += p[j + 8], c ^= p[j + 4], d ^= p[j + 12];
      sums[i * 8] = a + b + c + d;
    });
    benchmark::DoNotOptimize(sums.data());
  }
  state.counters["bytes"] = benchmark::Counter(static_cast<double>(words * 8),
                                               benchmark::Counter::kIsIterationInvariantRate);
}

template <class... Args>
void add(const std::string& name, void (*run)(benchmark::State&, Args...), Args... args) {
  auto* b = benchmark::RegisterBenchmark(name.c_str(), run, args...)->Unit(benchmark::kMillisecond);
  if (threads() > 1) b->UseRealTime();
}

}  // namespace

// <program> [benchmark options] [threads]: by default all cores and wall time; one thread is
// measured in CPU time, which means something on a busy machine too.
int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  set_threads(argc > 1 ? std::atoi(argv[1]) : 0);
  for (const Level level : kAllLevels) {
    if (level == Level::kScalar || !cpu_has(level)) continue;
    const std::string name(level_name(level));
    for (const std::size_t tile : {64u, 128u})
      add("causal/" + name + "/tile" + std::to_string(tile), causal_bench, level, false,
          std::size_t{8192}, std::size_t{1024}, std::size_t{tile});
    if (level == Level::kAmx) continue;  // decodes with the vectors of avx512
    add("partial/" + name + "/contiguous", partial_bench, level, std::size_t{32768}, std::size_t{0},
        std::size_t{48});
    add("partial/" + name + "/gathered", partial_bench, level, std::size_t{32768},
        std::size_t{2048}, std::size_t{48});
  }
  add("read", read_bench);
  benchmark::RunSpecifiedBenchmarks();
}
