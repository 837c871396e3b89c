// SPDX-License-Identifier: Apache-2.0
#include "lib/bench/measurement.h"

#include <fmt/format.h>

#include <algorithm>

#include "lib/bench/results.h"
#include "lib/core/error.h"
#include "lib/core/text_file.h"

namespace ra::bench {
namespace {

// The samples that are the time of a record, by kind; kinds without one are compared by value only.
constexpr std::pair<std::string_view, std::string_view> kTimes[] = {
    {"decode", "decode_ms"}, {"attention", "attention_ms"}, {"recall", "query_us"}};

// Config fields that name a measurement for a person, in this order.
constexpr std::string_view kNameFields[] = {"mode",  "context", "layer",     "head",      "kv_head",
                                            "index", "search",  "direction", "query_set", "k"};

std::string short_name(const Json& record) {
  std::string name = record.value("kind", "");
  const Json& config = record.at("config");
  for (const std::string_view field : kNameFields) {
    const auto it = config.find(std::string(field));
    if (it == config.end() || it->is_null()) continue;
    const std::string text = it->is_string() ? it->get<std::string>() : it->dump();
    const bool bare = field == "mode" || field == "index" || field == "direction";
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

void add_record(std::vector<Measurement>& all, const Json& record) {
  if (record.value("status", "ok") != "ok") return;
  const std::string kind = record.value("kind", "");
  Measurement& m = entry(
      all, fmt::format("{} {} {}", record.value("tool", ""), kind, record.at("config").dump()));
  m.name = short_name(record);
  const Json& origin = record.at("provenance");
  for (const char* field : {"cpu", "isa", "threads"}) m.machine[field] = text_of(origin, field);
  for (const auto& [name, value] : record.at("metrics").items())
    if (value.is_number() && !name.ends_with("_ms") && !name.ends_with("_us") &&
        !name.ends_with("_per_s") && !name.ends_with("_gb_s") && !name.ends_with("_tok_s"))
      m.values[name] = value.get<double>();
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

std::vector<Measurement> read_googlebench(const Json& file, const std::filesystem::path& path) {
  std::vector<Measurement> all;
  const Json context = file.value("context", Json::object());
  for (const Json& b : file.at("benchmarks")) {
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
    m.machine = {{"cpus", text_of(context, "num_cpus")}, {"host", text_of(context, "host_name")}};
    m.time_name = "real_time_" + b.value("time_unit", "ns");
    m.times[-1].push_back(b.at("real_time").get<double>());
    for (const auto& [key, value] : b.items())
      if (key.starts_with("work_") && value.is_number()) m.values[key] = value.get<double>();
  }
  return all;
}

}  // namespace

std::vector<Measurement> read_measurements(const std::filesystem::path& file) {
  std::vector<Measurement> all;
  const Json whole = Json::parse(read_bytes(file), nullptr, /*allow_exceptions=*/false);
  try {
    if (whole.is_object() && whole.contains("benchmarks")) {
      all = read_googlebench(whole, file);
    } else {
      for (const Json& record : read_records(file)) add_record(all, record);
    }
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
