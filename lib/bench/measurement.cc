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
                                            "query_set", "k",       "share",  "case"};

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

// `json`, which is of that type, or Json::type_error: find and items of another type see nothing.
const Json& expect(const Json& json, bool right, std::string_view type) {
  if (!right)
    throw Json::type_error::create(
        302, fmt::format("type must be {}, but is {}", type, json.type_name()), &json);
  return json;
}
const Json& object_of(const Json& json) { return expect(json, json.is_object(), "object"); }
const Json& array_of(const Json& json) { return expect(json, json.is_array(), "array"); }

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

void add_times(Measurement& m, const Json& samples, std::int64_t pair) {
  auto& times = m.times[pair];
  for (const Json& repetition : array_of(samples))
    for (const Json& v : array_of(repetition))
      if (!v.is_null() && v.get<double>() > 0) times.push_back(v.get<double>());
}

void add_record(std::vector<Measurement>& all, const Json& record) {
  if (record.value("status", "ok") != "ok") return;
  const std::string tool = record.value("tool", ""), kind = record.value("kind", "");
  const Json& config = record.at("config");
  for (const char* field : {"config", "metrics", "provenance"}) object_of(record.at(field));
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
  const Json given = record.value("pair", Json(nullptr));
  const std::int64_t pair =
      given.is_null()
          ? -1
          : expect(given, given.is_number_unsigned(), "a number from 0 on").get<std::int64_t>();
  if (!record.contains("samples")) return;
  const Json& samples = object_of(record["samples"]);
  for (const auto& [k, name] : kTimes) {
    const auto found = samples.find(name);
    if (k != kind || found == samples.end()) continue;
    m.time_name = name;
    add_times(m, *found, pair);
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
  for (const Json& b : array_of(output.at("benchmarks"))) {
    if (object_of(b).empty() || b.value("run_type", "iteration") != "iteration" ||
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
    if (const double time = b.at("real_time").get<double>(); time > 0)
      m.times[pair].push_back(time);
    for (const auto& [key, value] : b.items())
      if (key.starts_with("work_") && value.is_number()) add_value(m, key, value.get<double>());
  }
}

// A name that several have gets the fields of their configs that differ, so that no table and no
// tracker takes them for one.
void tell_apart(std::vector<Measurement>& all) {
  std::map<std::string, std::vector<Measurement*>> by_name;
  for (Measurement& m : all) by_name[m.name].push_back(&m);
  for (const auto& [name, same] : by_name) {
    std::set<std::string> differ;
    for (const Measurement* m : same)
      for (const auto& [field, value] : m->config.items())
        if (std::ranges::any_of(same, [&](const Measurement* other) {
              return !other->config.contains(field) || other->config[field] != value;
            }))
          differ.insert(field);
    for (Measurement* m : same)
      for (const std::string& field : differ)
        if (m->config.contains(field))
          m->name += fmt::format(" {}={:.12}", field, text_of(m->config, field.c_str()));
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
  std::string where = "-";
  try {
    const std::vector<Json> outputs = googlebench_outputs(read_bytes(file), file);
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      where = fmt::format("output {}", i + 1);
      add_googlebench(all, outputs[i], outputs.size() > 1 ? static_cast<std::int64_t>(i) : -1,
                      file);
    }
    const std::vector<Json> records = outputs.empty() ? read_records(file) : std::vector<Json>{};
    for (std::size_t i = 0; i < records.size(); ++i) {
      where = fmt::format("record {}", i + 1);
      add_record(all, records[i]);
    }
  } catch (const Json::exception& e) {
    const std::string_view why = e.what();  // "[json.exception.type_error.302] type must be ..."
    fail_bad_data({.what = "bad result file",
                   .file = file,
                   .where = where,
                   .why = std::string(why.substr(why.find(' ') + 1)),
                   .hint = "result records or Google Benchmark JSON are read"});
  }
  if (all.empty())
    fail_bad_data({.what = "nothing measured", .file = file, .why = "no record with status ok"});
  tell_apart(all);
  return all;
}

}  // namespace ra::bench
