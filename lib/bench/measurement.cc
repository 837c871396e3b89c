// SPDX-License-Identifier: Apache-2.0
#include "lib/bench/measurement.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <sstream>

#include "lib/bench/results.h"
#include "lib/bench/value_rules.h"
#include "lib/core/error.h"
#include "lib/core/text_file.h"

namespace ra::bench {
namespace {

// The samples that are the time of a record, by kind; kinds without one are compared by value only.
constexpr std::pair<std::string_view, std::string_view> kTimes[] = {{"decode", "decode_ms"},
                                                                    {"attention", "attention_ms"},
                                                                    {"recall", "query_us"},
                                                                    {"call", "call_us"}};

// Config fields that name a measurement for a person, in this order.
constexpr std::string_view kNameFields[] = {"mode",      "context", "layer",  "head",
                                            "kv_head",   "index",   "search", "direction",
                                            "query_set", "k",       "case"};

std::string short_name(const Json& record) {
  std::string name = record.value("kind", "");
  const Json& config = record.at("config");
  for (const std::string_view field : kNameFields) {
    const auto it = config.find(std::string(field));
    if (it == config.end() || it->is_null()) continue;
    const std::string text = it->is_string() ? it->get<std::string>() : it->dump();
    const bool bare =
        field == "mode" || field == "index" || field == "direction" || field == "case";
    name += bare ? fmt::format(" {}", text) : fmt::format(" {}={}", field, text);
  }
  return name;
}

Measurement& entry(std::vector<Measurement>& all, const std::string& key) {
  const auto it = std::find_if(all.begin(), all.end(), [&](const auto& m) { return m.key == key; });
  if (it != all.end()) return *it;
  all.push_back({.key = key});
  return all.back();
}

std::string text_of(const Json& object, const char* field) {
  const auto it = object.find(field);
  if (it == object.end()) return "";
  return it->is_string() ? it->get<std::string>() : it->dump();
}

void add_value(Measurement& m, const std::string& name, double value) {
  const auto [it, added] = m.values.emplace(name, value);
  const ValueRule* rule = value_rule(name);
  if (!added && rule != nullptr && worse_by(*rule, it->second, value) != 0) m.unsteady.insert(name);
}

void add_record(std::vector<Measurement>& all, const Json& record) {
  if (record.value("status", "ok") != "ok") return;
  const std::string tool = record.value("tool", ""), kind = record.value("kind", "");
  const Json& config = record.at("config");
  Measurement& m = entry(all, fmt::format("{} {} {}", tool, kind, config.dump()));
  m.tool = tool;
  m.kind = kind;
  m.config = config;
  m.name = short_name(record);
  m.in_turns = record.value("in_turns", false);
  const Json& origin = record.at("provenance");
  for (const char* field : {"cpu", "isa", "threads"}) {
    std::string& known = m.machine[field];
    const std::string text = text_of(origin, field);
    if (known.empty()) known = text;
    if (known != text) known = fmt::format("{} and {}", known, text);  // equals no single machine
  }
  m.compiler = text_of(origin, "compiler");
  for (const auto& [name, value] : record.at("metrics").items())
    if (value.is_number() && !name.ends_with("_ms") && !name.ends_with("_us") &&
        !name.ends_with("_per_s") && !name.ends_with("_gb_s") && !name.ends_with("_tok_s"))
      add_value(m, name, value.get<double>());
  for (const auto& [k, name] : kTimes) {
    if (k != kind || !record.contains("samples")) continue;
    const auto samples = record["samples"].find(std::string(name));
    if (samples == record["samples"].end()) continue;
    m.time_name = name;
    const Json& pair = record.value("pair", Json(nullptr));
    auto& times = m.times[pair.is_number() ? pair.get<std::int64_t>() : -1];
    for (const Json& repetition : *samples)
      for (const Json& v : repetition)
        if (v.is_number() && v.get<double>() > 0) times.push_back(v.get<double>());
  }
}

void add_googlebench(std::vector<Measurement>& all, const Json& output, std::int64_t pair,
                     const std::filesystem::path& path) {
  const Json context = output.value("context", Json::object());
  if (const std::string given = text_of(context, "pair"); !given.empty()) {
    const auto [end, error] = std::from_chars(given.data(), given.data() + given.size(), pair);
    if (error != std::errc{} || end != given.data() + given.size() || pair < 0)
      fail_bad_data({.what = "bad benchmark JSON",
                     .file = path,
                     .where = "context: pair",
                     .why = fmt::format("'{}' is not a number of a pair", given)});
  }
  for (const Json& b : output.at("benchmarks")) {
    if (!b.is_object() || b.value("run_type", "iteration") != "iteration" ||
        b.value("error_occurred", false))
      continue;
    if (!b.contains("name") || !b.contains("real_time"))
      fail_bad_data({.what = "bad benchmark JSON",
                     .file = path,
                     .where = "benchmarks",
                     .why = "an entry has no name or real_time"});
    const std::string name = b.value("run_name", b.at("name").get<std::string>());
    Measurement& m = entry(all, "googlebench " + name);
    m.name = name;
    m.tool = "googlebench";
    m.config = {{"name", name}};
    m.machine = {{"cpus", text_of(context, "num_cpus")},
                 {"host", text_of(context, "host_name")},
                 {"isa", text_of(context, "isa")}};
    m.time_name = "real_time_" + b.value("time_unit", "ns");
    m.times[pair].push_back(b.at("real_time").get<double>());
    for (const auto& [key, value] : b.items())
      if (key.starts_with("work_") && value.is_number()) add_value(m, key, value.get<double>());
  }
}

// The outputs in a row; empty if the file begins with anything else.
std::vector<Json> googlebench_outputs(const std::string& text, const std::filesystem::path& path) {
  std::vector<Json> outputs;
  std::istringstream in(text);
  try {
    while (in >> std::ws && in.peek() != std::istringstream::traits_type::eof()) {
      Json output;
      in >> output;
      const bool known = output.is_object() && output.contains("benchmarks");
      if (!known && outputs.empty()) break;
      if (!known)
        fail_bad_data({.what = "bad benchmark JSON",
                       .file = path,
                       .where = fmt::format("output {}", outputs.size() + 1),
                       .why = "it has no \"benchmarks\""});
      outputs.push_back(std::move(output));
    }
  } catch (const Json::parse_error& e) {
    if (!outputs.empty() || text.substr(0, 4096).find("\"context\"") != std::string::npos)
      fail_bad_data({.what = "bad benchmark JSON",
                     .file = path,
                     .where = fmt::format("output {}, byte {}", outputs.size() + 1, e.byte),
                     .why = "not JSON from here on",
                     .hint = "cut short?"});
  }
  return outputs;
}

}  // namespace

std::vector<Measurement> read_measurements(const std::filesystem::path& file) {
  std::vector<Measurement> all;
  try {
    const std::vector<Json> outputs = googlebench_outputs(read_bytes(file), file);
    for (std::size_t i = 0; i < outputs.size(); ++i)
      add_googlebench(all, outputs[i], outputs.size() > 1 ? static_cast<std::int64_t>(i) : -1,
                      file);
    if (outputs.empty())
      for (const Json& record : read_records(file)) add_record(all, record);
  } catch (const Json::exception& e) {
    fail_bad_data({.what = "bad result file",
                   .file = file,
                   .why = e.what(),
                   .hint = "result records or Google Benchmark JSON are read"});
  }
  if (all.empty())
    fail_bad_data({.what = "nothing measured", .file = file, .why = "no record with status ok"});
  return all;
}

}  // namespace ra::bench
