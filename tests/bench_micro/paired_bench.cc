// SPDX-License-Identifier: Apache-2.0
// One of two builds that take turns:
//
//   paired_bench PAIR [CASE...]    the cases named, or all; --list prints their names
//
// It makes its data, prints "ready", and then answers each line "CASE CALLS CHUNKS" of stdin, a
// turn, with the microseconds that a call took: mean over a chunk of CALLS in a row, least of
// CHUNKS of them after one that is not timed, in which caches and predictors are filled again. At
// the end of stdin it prints a result record of each case with all the times, in order, pair number
// PAIR. A driver that keeps one process of each build alive and gives them less than a millisecond
// each in turn compares them under the same clock, neighbours and temperature
// (experiments/regression/pairs.py).
//
// RA_SLOW=CASE=0.05 makes that case 5 % slower by a busy loop after the work, inside what is timed:
// for tests of the comparison itself.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <sstream>

#include "kernels/level.h"
#include "lib/bench/results.h"
#include "lib/core/error.h"
#include "lib/core/parallel.h"
#include "lib/stats/quantiles.h"
#include "tests/bench_micro/cases.h"

namespace {

using namespace ra;
using Clock = std::chrono::steady_clock;

struct Timed {
  std::string name;
  bench_micro::Case c;
  double slower = 0;  // share
  std::vector<double> us = {};
};

std::vector<bench_micro::CaseMaker> all_cases() {
  auto all = bench_micro::kernel_cases(kernels::active_level());
  for (auto& maker : bench_micro::index_cases()) all.push_back(std::move(maker));
  return all;
}

// The share that RA_SLOW gives `name`, else 0.
double slow_share(const std::string& name) {
  const char* text = std::getenv("RA_SLOW");
  const std::string_view given = text == nullptr ? "" : text;
  const std::size_t at = given.rfind('=');
  if (at == std::string_view::npos || given.substr(0, at) != name) return 0;
  return std::strtod(given.data() + at + 1, nullptr);
}

// Microseconds of a call, mean over a chunk.
double timed_chunk(const Timed& t, int calls) {
  const auto start = Clock::now();
  for (int i = 0; i < calls; ++i) t.c.call();
  auto end = Clock::now();
  if (t.slower > 0) {
    const auto until = end + std::chrono::duration_cast<Clock::duration>((end - start) * t.slower);
    while (end < until) end = Clock::now();
  }
  return std::chrono::duration<double, std::micro>(end - start).count() / calls;
}

double timed_turn(const Timed& t, int calls, int chunks) {
  timed_chunk(t, calls);
  double least = timed_chunk(t, calls);
  for (int i = 1; i < chunks; ++i) least = std::min(least, timed_chunk(t, calls));
  return least;
}

bench::Result result_of(const Timed& t) {
  bench::Result r{.kind = "call"};
  r.config = {{"case", t.name}};
  r.metrics = {{"call_us", stats::quantile(t.us, 0.5)}};
  if (t.c.work_distances > 0) {
    r.metrics["work_distances"] = t.c.work_distances;
    r.metrics["work_bytes"] = t.c.bytes;
    r.metrics["work_hops"] = t.c.work_hops;
  }
  r.samples["call_us"] = {t.us};
  r.extra["in_turns"] = true;
  return r;
}

int serve(std::int64_t pair, const std::vector<std::string>& wanted) {
  std::vector<Timed> cases;
  for (const auto& maker : all_cases())
    if (wanted.empty() || std::ranges::find(wanted, maker.name) != wanted.end())
      cases.push_back({.name = maker.name, .c = maker.make(), .slower = slow_share(maker.name)});
  for (const std::string& name : wanted)
    if (std::ranges::find(cases, name, &Timed::name) == cases.end())
      fail_usage("CASE", fmt::format("no case '{}'", name), "--list names them");
  fmt::print("ready\n");
  std::fflush(stdout);
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream in(line);
    std::string name;
    int calls = 0, chunks = 0;
    const auto found = in >> name >> calls >> chunks && calls > 0 && chunks > 0
                           ? std::ranges::find(cases, name, &Timed::name)
                           : cases.end();
    if (found == cases.end()) fail_usage("stdin", fmt::format("'{}'", line), "CASE CALLS CHUNKS");
    found->us.push_back(timed_turn(*found, calls, chunks));
    fmt::print("{:.6g}\n", found->us.back());
    std::fflush(stdout);
  }
  bench::ResultWriter out("-", {.tool = "paired_bench", .pair = pair});
  for (const Timed& t : cases)
    if (!t.us.empty()) out.write(result_of(t));
  return 0;
}

}  // namespace

int main(int argc, char** argv) try {
  const std::vector<std::string> given(argv + 1, argv + argc);
  set_threads(1);
  if (given == std::vector<std::string>{"--list"}) {
    for (const auto& maker : all_cases()) fmt::print("{}\n", maker.name);
    return 0;
  }
  std::int64_t pair = -1;
  if (!given.empty()) std::from_chars(given[0].data(), given[0].data() + given[0].size(), pair);
  if (pair < 0) fail_usage("PAIR", "a number from 0 on is needed", "paired_bench PAIR [CASE...]");
  return serve(pair, {given.begin() + 1, given.end()});
} catch (const Error& e) {
  fmt::print(stderr, "paired_bench: error: {}\n", e.what());
  return static_cast<int>(e.code());
}
