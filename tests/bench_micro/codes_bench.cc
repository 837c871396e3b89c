// SPDX-License-Identifier: Apache-2.0
// Inner products of a group of queries with 8-bit and 4-bit codes: of one KV head in cache, and of
// several heads in turn, so that the codes come from memory.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "kernels/ops.h"
#include "lib/core/matrix.h"
#include "lib/core/rng.h"

namespace {

using namespace ra;
using namespace ra::kernels;

constexpr std::size_t kRank = 64, kBlocks = 31616 / kCodeKeys;

void codes_bench(benchmark::State& state, Level level, int bits, std::size_t group,
                 std::size_t copies) {
  const OpTable& table = table_for(level);
  const std::size_t bytes = kBlocks * code_block_bytes(kRank, bits);
  AlignedBuffer<std::uint8_t> codes(copies * bytes);
  Rng rng(1);
  for (std::size_t i = 0; i < codes.size(); ++i)
    codes.data()[i] = static_cast<std::uint8_t>(rng.below(256));
  std::vector<std::int8_t> q(group * kRank);
  for (auto& v : q) v = static_cast<std::int8_t>(static_cast<int>(rng.below(255)) - 127);
  std::vector<float> out(group * kBlocks * kCodeKeys);
  std::size_t turn = 0;
  for (auto _ : state) {
    table.score_codes({.q = q.data(),
                       .q_stride = kRank,
                       .group = group,
                       .rank = kRank,
                       .codes = codes.data() + turn * bytes,
                       .bits = bits,
                       .n = kBlocks,
                       .out = out.data(),
                       .out_stride = kBlocks * kCodeKeys});
    benchmark::ClobberMemory();
    turn = (turn + 1) % copies;
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) *
                          static_cast<std::int64_t>(bytes));
  state.counters["products"] = benchmark::Counter(static_cast<double>(group * kBlocks * kCodeKeys),
                                                  benchmark::Counter::kIsIterationInvariantRate);
}

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  for (const Level level : kAllLevels) {
    if (level == Level::kScalar || !cpu_has(level)) continue;
    for (const int bits : {8, 4})
      for (const std::size_t group : {1u, 7u})
        for (const std::size_t copies : {1u, 48u}) {
          const std::string name = "codes/" + std::string(level_name(level)) + "/bits" +
                                   std::to_string(bits) + "/group" + std::to_string(group) +
                                   (copies == 1 ? "/cache" : "/memory");
          benchmark::RegisterBenchmark(name.c_str(), codes_bench, level, bits, group, copies)
              ->Unit(benchmark::kMicrosecond);
        }
  }
  benchmark::RunSpecifiedBenchmarks();
}
