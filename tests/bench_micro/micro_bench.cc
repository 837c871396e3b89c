// SPDX-License-Identifier: Apache-2.0
// Every kernel at every level of this CPU and every index search, on one thread: bytes and
// floating-point operations per second beside the limits of the machine.
//
// Counters of a line: bytes_per_second and flops as measured; read_limit, what the level reads from
// as large a buffer; flop_limit, what it multiplies with every operand in a register, in the
// numbers the kernel multiplies (integers have none: their rate is not measured); of_limit, the
// larger of the two shares: near 1 there is nothing left to gain without reading or computing less.
// A kernel that writes as much as it reads may exceed 1: loads and stores have ports of their own.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "kernels/ops.h"
#include "lib/bench/roofline.h"
#include "lib/core/parallel.h"
#include "tests/bench_micro/cases.h"

namespace {

using namespace ra;
using bench_micro::Case;
using bench_micro::CaseMaker;
using bench_micro::Product;

// Both limits are measured once, at the active level. Bytes per second; sizes count in pages.
double read_limit(double bytes) {
  constexpr double kPage = 4096;
  static std::map<std::pair<kernels::Level, std::size_t>, double> known;
  const auto size = static_cast<std::size_t>(kPage * std::ceil(bytes / kPage));
  double& limit = known[{kernels::active_level(), size}];
  if (limit == 0) limit = 1e9 * bench::read_bandwidth_gb_s(size, 20);
  return limit;
}

// Operations per second; 0 = not measured.
double flop_limit(Product product) {
  static std::map<std::pair<kernels::Level, bool>, double> known;
  if (product == Product::kCodes) return 0;
  const bool f32 = product == Product::kF32;
  double& limit = known[{kernels::active_level(), f32}];
  if (limit == 0)
    for (int i = 0; i < 10; ++i)
      limit = std::max(limit, 1e12 * bench::multiply_peak_tflop_s(f32, 0.002));
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
  const double read = read_limit(c.data_bytes > 0 ? c.data_bytes : c.bytes);
  state.counters["read_limit"] = read;
  double least_seconds = c.bytes / read;
  if (c.flops > 0) state.counters["flops"] = rate(c.flops);
  if (const double multiply = flop_limit(c.product); c.flops > 0 && multiply > 0) {
    state.counters["flop_limit"] = multiply;
    least_seconds = std::max(least_seconds, c.flops / multiply);
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
