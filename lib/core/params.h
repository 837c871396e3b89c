// SPDX-License-Identifier: Apache-2.0
// The spec grammar of command lines: name[:key=value[,key=value]...]. A value may hold several
// alternatives joined by '/', for example probes=1/4/16.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ra {

struct Spec {
  std::string name;
  std::map<std::string, std::string> params;  // key -> value, as written
  std::string text() const;                   // canonical form, keys in order
};

// Specs are joined by ';' or, in a comma list, an item opens a new spec if it has no '=' or has a
// ':' before its first '='. Throws Error{kUsage}.
std::vector<Spec> parse_specs(std::string_view text);

// What a key accepts; one row per key, used for parsing, error messages and --help/list.
struct ParamInfo {
  std::string_view key;
  std::string_view kind;  // "int", "float" or "a|b|c" for a choice
  std::string_view default_value;
  double min = 0, max = 0;  // of int and float
  bool search = false;      // may be swept with '/', belongs to the search, not to the build
  std::string_view help;
};

// Typed access to a spec's parameters, checked against a table. Unknown keys, malformed values and
// values out of range throw Error{kUsage} that lists what is allowed.
class ParamReader {
 public:
  ParamReader(const Spec& spec, std::span<const ParamInfo> table);
  std::int64_t integer(std::string_view key) const;
  double number(std::string_view key) const;
  std::string choice(std::string_view key) const;
  std::vector<std::int64_t> integers(std::string_view key) const;  // '/'-joined alternatives
  bool given(std::string_view key) const;

 private:
  const ParamInfo& info(std::string_view key) const;
  std::string value(std::string_view key) const;
  const Spec& spec_;
  std::span<const ParamInfo> table_;
};

// "0,3,8-11" -> {0,3,8,9,10,11}: numbers and closed ranges in [0, limit), ascending and distinct.
// Empty text means all of [0, limit). Throws Error{kUsage} naming `option`.
std::vector<int> parse_list(std::string_view text, int limit, std::string_view option);

// "4096", "16KiB", "2GiB" -> bytes. Throws Error{kUsage} naming `option`.
std::uint64_t parse_bytes(std::string_view text, std::string_view option);

}  // namespace ra
