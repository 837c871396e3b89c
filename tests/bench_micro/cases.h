// SPDX-License-Identifier: Apache-2.0
// What is timed, said once: every kernel of the table and every index search as a function to call,
// with the memory it must pass and the products it must make. micro_bench shows them one by one
// beside the limits of the machine, paired_bench times two builds of them in turn.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "kernels/level.h"

namespace ra::bench_micro {

// What the inner products of a case are made with.
enum class Product {
  kF32,    // lanes of f32
  kLevel,  // the level's own: at avx512 and amx bf16
  kCodes   // integers, at a rate that is not measured
};

struct Case {
  double bytes = 0;  // of a call: everything it reads and writes, once
  double flops = 0;  // of a call: 2 for a multiply-add, also of integers; 0 = nothing to count
  Product product = Product::kF32;
  std::function<void()> call;
  double data_bytes = 0;  // that `bytes` lie in, if a call passes them more than once; 0 = `bytes`
  // Deterministic, of a call; 0 where there is nothing to search.
  double work_distances = 0, work_hops = 0;
};

// A case with its data still to be made.
struct CaseMaker {
  std::string name;  // "gemv/Q4_K", "search/qivf"
  std::function<Case()> make;
};

// Every field of OpTable that `level` has, on the shapes of Qwen2.5-0.5B, with data that stays in
// cache: what they cost from memory is gemv_bench's, attend_bench's and codes_bench's to say.
// multiply_peak is left out: it is a limit.
std::vector<CaseMaker> kernel_cases(kernels::Level level);

// The search of every index type with its defaults at the active level: ten queries a call, one
// at a time, k = 100, among 2,048 keys that queries lie far from.
std::vector<CaseMaker> index_cases();

}  // namespace ra::bench_micro
