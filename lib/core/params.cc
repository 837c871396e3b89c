// SPDX-License-Identifier: Apache-2.0
#include "lib/core/params.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <set>

#include "lib/core/error.h"

namespace ra {
namespace {

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> out;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(separator, begin), text.size());
    out.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return out;
}

template <class T>
std::optional<T> number_of(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string allowed(const ParamInfo& p) {
  if (p.kind == "int") return fmt::format("an integer {:.0f}..{:.0f}", p.min, p.max);
  if (p.kind == "float") return fmt::format("a number {:g}..{:g}", p.min, p.max);
  return fmt::format("one of {}", p.kind);
}

}  // namespace

std::string Spec::text() const {
  std::string out = name;
  char separator = ':';
  for (const auto& [key, value] : params) {
    out += fmt::format("{}{}={}", separator, key, value);
    separator = ',';
  }
  return out;
}

std::vector<Spec> parse_specs(std::string_view text) {
  std::vector<Spec> specs;
  const auto add_param = [&](std::string_view item) {
    const std::size_t eq = std::min(item.find('='), item.size());
    const std::string key(item.substr(0, eq));
    const std::string value(item.substr(std::min(eq + 1, item.size())));
    if (key.empty() || value.empty())
      fail_usage("--index", fmt::format("'{}' is not key=value", item));
    if (!specs.back().params.emplace(key, value).second)
      fail_usage("--index", fmt::format("key '{}' given twice in '{}'", key, text));
  };
  for (const std::string_view part : split(text, ';')) {
    bool open = false;  // a spec of this part is there to take parameters
    for (const std::string_view item : split(part, ',')) {
      const std::size_t eq = item.find('='), colon = item.find(':');
      const bool opens =
          eq == std::string_view::npos || (colon != std::string_view::npos && colon < eq);
      if (!opens) {
        if (!open) fail_usage("--index", fmt::format("'{}' comes before any index name", item));
        add_param(item);
        continue;
      }
      const std::string_view name = item.substr(0, colon);
      if (name.empty()) fail_usage("--index", fmt::format("empty index name in '{}'", text));
      specs.push_back({.name = std::string(name), .params = {}});
      open = true;
      if (colon != std::string_view::npos) add_param(item.substr(colon + 1));
    }
  }
  return specs;
}

ParamReader::ParamReader(const Spec& spec, std::span<const ParamInfo> table)
    : spec_(spec), table_(table) {
  for (const auto& [key, value] : spec.params) {
    if (std::any_of(table.begin(), table.end(), [&](const auto& p) { return p.key == key; }))
      continue;
    std::string known;
    for (const ParamInfo& p : table) known += fmt::format("{}{}", known.empty() ? "" : ", ", p.key);
    fail_usage(spec.name, fmt::format("unknown key '{}'", key),
               known.empty() ? "it takes no keys" : fmt::format("known keys: {}", known));
  }
}

const ParamInfo& ParamReader::info(std::string_view key) const {
  const auto it =
      std::find_if(table_.begin(), table_.end(), [&](const auto& p) { return p.key == key; });
  RA_CHECK(it != table_.end());
  return *it;
}

std::string ParamReader::value(std::string_view key) const {
  const auto it = spec_.params.find(std::string(key));
  return it != spec_.params.end() ? it->second : std::string(info(key).default_value);
}

bool ParamReader::given(std::string_view key) const {
  return spec_.params.contains(std::string(key));
}

std::vector<std::int64_t> ParamReader::integers(std::string_view key) const {
  const ParamInfo& p = info(key);
  const std::string text = value(key);
  std::vector<std::int64_t> out;
  for (const std::string_view item : split(text, '/')) {
    const auto n = number_of<std::int64_t>(item);
    if (!n || static_cast<double>(*n) < p.min || static_cast<double>(*n) > p.max)
      fail_usage(spec_.name, fmt::format("{}={}", key, item), "allowed: " + allowed(p));
    out.push_back(*n);
  }
  return out;
}

std::int64_t ParamReader::integer(std::string_view key) const {
  const auto values = integers(key);
  if (values.size() != 1)
    fail_usage(spec_.name, fmt::format("{}={} needs a single value", key, value(key)));
  return values.front();
}

double ParamReader::number(std::string_view key) const {
  const ParamInfo& p = info(key);
  const auto n = number_of<double>(value(key));
  if (!n || !std::isfinite(*n) || *n < p.min || *n > p.max)
    fail_usage(spec_.name, fmt::format("{}={}", key, value(key)), "allowed: " + allowed(p));
  return *n;
}

std::string ParamReader::choice(std::string_view key) const {
  const ParamInfo& p = info(key);
  const std::string text = value(key);
  const auto choices = split(p.kind, '|');
  if (std::find(choices.begin(), choices.end(), text) == choices.end())
    fail_usage(spec_.name, fmt::format("{}={}", key, text), "allowed: " + allowed(p));
  return text;
}

std::vector<int> parse_list(std::string_view text, int limit, std::string_view option) {
  std::set<int> out;
  if (text.empty()) {
    for (int i = 0; i < limit; ++i) out.insert(i);
    return {out.begin(), out.end()};
  }
  for (const std::string_view item : split(text, ',')) {
    const std::size_t dash = item.find('-');
    const auto first = number_of<int>(item.substr(0, dash));
    const auto last =
        dash == std::string_view::npos ? first : number_of<int>(item.substr(dash + 1));
    if (!first || !last || *first > *last || *first < 0)
      fail_usage(std::string(option), fmt::format("'{}' is not a number or range", item),
                 "for example 0,3,8-11");
    if (*last >= limit)
      fail_usage(std::string(option), fmt::format("{} is out of range", *last),
                 fmt::format("allowed: 0..{}", limit - 1));
    for (int i = *first; i <= *last; ++i) out.insert(i);
  }
  return {out.begin(), out.end()};
}

std::uint64_t parse_bytes(std::string_view text, std::string_view option) {
  std::uint64_t unit = 1;
  std::string_view digits = text;
  const std::pair<std::string_view, int> units[] = {{"KiB", 10}, {"MiB", 20}, {"GiB", 30}};
  for (const auto& [suffix, shift] : units)
    if (text.ends_with(suffix)) {
      unit = std::uint64_t{1} << shift;
      digits.remove_suffix(suffix.size());
    }
  const auto n = number_of<std::uint64_t>(digits);
  if (!n || *n > UINT64_MAX / unit)
    fail_usage(std::string(option), fmt::format("'{}' is not a byte size", text),
               "for example 512MiB or 4GiB");
  return *n * unit;
}

}  // namespace ra
