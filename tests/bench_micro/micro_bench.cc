// SPDX-License-Identifier: Apache-2.0
// Every kernel at every level of this CPU and every index search, on one thread: bytes and
// floating-point operations per second beside the limits of the machine.
//
// Counters of a line: bytes_per_second and flops as measured; read_limit, what a plain sum reads
// from as large a buffer; flop_limit, what the level multiplies with every operand in a register;
// of_limit, the larger of the two shares: near 1 there is nothing left to gain without reading or
// computing less. Codes are multiplied in integers, which AMX and VNNI do faster than flop_limit,
// so theirs may exceed 1.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <bit>
#include <map>

#include "kernels/ops.h"
#include "lib/bench/roofline.h"
#include "lib/core/parallel.h"
#include "tests/bench_micro/cases.h"

namespace {

using namespace ra;
using bench_micro::Case;
using bench_micro::CaseMaker;

// Bytes per second; sizes are rounded up to a power of two, each measured once.
double read_limit(double bytes) {
  static std::map<std::size_t, double> known;
  const std::size_t size =
      std::bit_ceil(std::max<std::size_t>(4096, static_cast<std::size_t>(bytes)));
  double& limit = known[size];
  if (limit == 0) limit = 1e9 * bench::read_bandwidth_gb_s(size, 500);
  return limit;
}

double flop_limit() {
  static std::map<kernels::Level, double> known;
  double& limit = known[kernels::active_level()];
  if (limit == 0) limit = 1e12 * bench::multiply_peak_tflop_s();
  return limit;
}

void run(benchmark::State& state, const CaseMaker& maker, kernels::Level level) {
  kernels::set_active_level(level);
  const Case c = maker.make();
  c.call();
  for (auto _ : state) {
    c.call();
    benchmark::ClobberMemory();
  }
  using benchmark::Counter;
  const auto rate = [](double amount) {
    return Counter(amount, Counter::kIsIterationInvariantRate);
  };
  state.counters["bytes_per_second"] = rate(c.bytes);
  state.counters["read_limit"] = read_limit(c.bytes);
  double least_seconds = c.bytes / read_limit(c.bytes);
  if (c.flops > 0) {
    state.counters["flops"] = rate(c.flops);
    state.counters["flop_limit"] = flop_limit();
    least_seconds = std::max(least_seconds, c.flops / flop_limit());
  }
  state.counters["of_limit"] = rate(least_seconds);
  if (c.work_distances > 0) {
    state.counters["work_distances"] = c.work_distances;
    state.counters["work_hops"] = c.work_hops;
    state.counters["work_bytes"] = c.bytes;
  }
}

void add(const std::string& prefix, const CaseMaker& maker, kernels::Level level) {
  benchmark::RegisterBenchmark((prefix + maker.name).c_str(), run, maker, level)
      ->Unit(benchmark::kMicrosecond);
}

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  set_threads(1);
  benchmark::AddCustomContext("isa", std::string(kernels::level_name(kernels::active_level())));
  for (const kernels::Level level : kernels::kAllLevels) {
    if (!kernels::cpu_has(level)) continue;
    for (const CaseMaker& maker : bench_micro::kernel_cases(level))
      add(std::string(kernels::level_name(level)) + "/", maker, level);
  }
  for (const CaseMaker& maker : bench_micro::index_cases()) add("", maker, kernels::active_level());
  benchmark::RunSpecifiedBenchmarks();
}
