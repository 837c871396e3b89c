// SPDX-License-Identifier: Apache-2.0
#include "lib/bench/export.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <map>
#include <numeric>
#include <optional>

#include "lib/bench/results.h"
#include "lib/bench/table.h"
#include "lib/bench/value_rules.h"
#include "lib/core/error.h"
#include "lib/stats/quantiles.h"

namespace ra::bench {
namespace {

constexpr std::array<std::string_view, 5> kFormats = {"googlebench", "smaller-is-better", "md",
                                                      "csv", "records"};

// Every sample, in the order of pairs and repetitions.
std::vector<double> samples_of(const Measurement& m) {
  std::vector<double> samples;
  for (const auto& [pair, times] : m.times)
    samples.insert(samples.end(), times.begin(), times.end());
  return samples;
}

// "decode_ms" -> "ms"
std::string unit_of(const Measurement& m) { return m.time_name.substr(m.time_name.rfind('_') + 1); }

struct TimeSummary {
  double p25 = 0, median = 0, p75 = 0;
  std::size_t n = 0;
  std::string unit;  // "ns", "us", "ms"
};

std::optional<TimeSummary> time_of(const Measurement& m) {
  const std::vector<double> samples = samples_of(m);
  if (m.time_name.empty() || samples.empty()) return std::nullopt;
  return TimeSummary{.p25 = stats::quantile(samples, 0.25),
                     .median = stats::quantile(samples, 0.5),
                     .p75 = stats::quantile(samples, 0.75),
                     .n = samples.size(),
                     .unit = unit_of(m)};
}

// ---- Google Benchmark --------------------------------------------------------------------------

// Its aggregates of more than one repetition; the deviation is that of a sample.
struct Aggregate {
  std::string_view name, unit;
  double value;
};

std::vector<Aggregate> aggregates(const std::vector<double>& samples) {
  const auto n = static_cast<double>(samples.size());
  const double mean = std::accumulate(samples.begin(), samples.end(), 0.0) / n;
  double squares = 0;
  for (const double v : samples) squares += (v - mean) * (v - mean);
  const double deviation = std::sqrt(squares / (n - 1));
  return {{"mean", "time", mean},
          {"median", "time", stats::quantile(samples, 0.5)},
          {"stddev", "time", deviation},
          {"cv", "percentage", deviation / mean}};
}

// A repetition for each sample, then the aggregates.
void add_repetitions(const Measurement& m, Json& benchmarks, int family) {
  const std::vector<double> samples = samples_of(m);
  if (m.time_name.empty() || samples.empty()) return;
  Json entry = {{"name", m.name},     {"family_index", family},  {"per_family_instance_index", 0},
                {"run_name", m.name}, {"run_type", "iteration"}, {"repetitions", samples.size()},
                {"threads", 1},       {"iterations", 1},         {"time_unit", unit_of(m)}};
  for (const auto& [name, value] : m.values)
    if (std::isfinite(value)) entry[name] = value;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    entry["repetition_index"] = i;
    entry["real_time"] = entry["cpu_time"] = samples[i];
    benchmarks.push_back(entry);
  }
  if (samples.size() < 2) return;
  entry.erase("repetition_index");
  entry["run_type"] = "aggregate";
  entry["iterations"] = samples.size();
  for (const Aggregate& a : aggregates(samples)) {
    entry["name"] = fmt::format("{}_{}", m.name, a.name);
    entry["aggregate_name"] = a.name;
    entry["aggregate_unit"] = a.unit;
    entry["real_time"] = entry["cpu_time"] = a.value;
    benchmarks.push_back(entry);
  }
}

std::string googlebench(const std::vector<Measurement>& all) {
  Json benchmarks = Json::array();
  int family = 0;
  for (const Measurement& m : all) add_repetitions(m, benchmarks, family++);
  if (benchmarks.empty())
    fail_bad_data({.what = "nothing to export",
                   .why = "no measurement has times, and Google Benchmark's JSON is of times",
                   .hint = "smaller-is-better, records and csv hold deterministic numbers too"});
  const auto& machine = all.front().machine;
  const auto of = [&](const char* field, const char* imported) {
    auto it = machine.find(field);
    if (it == machine.end()) it = machine.find(imported);
    return it == machine.end() ? std::string() : it->second;
  };
  const Json context = {{"host_name", of("cpu", "host")},
                        {"num_cpus", of("threads", "cpus")},
                        {"isa", of("isa", "isa")}};
  return Json{{"context", context}, {"benchmarks", benchmarks}}.dump(2) + "\n";
}

// ---- the others --------------------------------------------------------------------------------

std::string smaller_is_better(const std::vector<Measurement>& all) {
  Json list = Json::array();
  for (const Measurement& m : all) {
    std::string extra;
    for (const auto& [field, value] : m.machine)
      extra += fmt::format("{}{}: {}", extra.empty() ? "" : "\n", field, value);
    if (const auto t = time_of(m))
      list.push_back({{"name", fmt::format("{} {}", m.name, m.time_name)},
                      {"unit", t->unit},
                      {"value", t->median},
                      {"range", fmt::format("{:.4g} to {:.4g}", t->p25, t->p75)},
                      {"extra", extra}});
    for (const auto& [name, value] : m.values) {
      const ValueRule* rule = value_rule(name);
      if (rule == nullptr || rule->better != Better::kSmaller || !std::isfinite(value)) continue;
      list.push_back({{"name", fmt::format("{} {}", m.name, name)},
                      {"unit", name.ends_with("_bytes")  ? "bytes"
                               : name.ends_with("_frac") ? "share"
                                                         : "count"},
                      {"value", value},
                      {"extra", extra}});
    }
  }
  return list.dump(2) + "\n";
}

std::string table(std::string_view format, const std::vector<Measurement>& all) {
  Table t({"<measurement", "<number", "value", "p25", "p75", "samples"});
  for (const Measurement& m : all) {
    if (const auto time = time_of(m))
      t.add({m.name, m.time_name, fmt::format("{:.6g}", time->median),
             fmt::format("{:.6g}", time->p25), fmt::format("{:.6g}", time->p75),
             std::to_string(time->n)});
    for (const auto& [name, value] : m.values)
      t.add({m.name, name, fmt::format("{:.6g}", value), "", "", ""});
  }
  return t.render(format);
}

// As result records, so that compare reads them, in an order that does not depend on the run.
std::string records(const std::vector<Measurement>& all) {
  std::map<std::string, Json> lines;
  for (const Measurement& m : all) {
    Json metrics = Json::object();
    for (const auto& [name, value] : m.values)
      if (value_rule(name) != nullptr && std::isfinite(value)) metrics[name] = value;
    if (metrics.empty()) continue;
    const auto isa = m.machine.find("isa");
    lines[m.key] = {
        {"schema_version", kSchemaVersion},
        {"tool", m.tool},
        {"kind", m.kind},
        {"provenance",
         {{"isa", isa == m.machine.end() ? "" : isa->second}, {"compiler", m.compiler}}},
        {"config", m.config},
        {"metrics", metrics}};
  }
  std::string out;
  for (const auto& [key, line] : lines) out += line.dump() + "\n";
  return out;
}

}  // namespace

std::span<const std::string_view> export_formats() { return kFormats; }

std::string export_as(std::string_view format, const std::vector<Measurement>& all) {
  RA_CHECK(!all.empty());
  if (format == "googlebench") return googlebench(all);
  if (format == "smaller-is-better") return smaller_is_better(all);
  if (format == "records") return records(all);
  return table(format, all);
}

}  // namespace ra::bench
