// SPDX-License-Identifier: Apache-2.0
// Small tables for people: GitHub markdown aligned in plain text, or CSV (RFC 4180).
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ra::bench {

class Table {
 public:
  // A header that starts with '<' is left-aligned text (the sign is dropped); others are numbers.
  explicit Table(std::vector<std::string> headers);
  void add(std::vector<std::string> row);  // as many cells as headers
  bool empty() const { return rows_.empty(); }

  std::string markdown() const;
  std::string csv() const;
  // "md", "csv" or "none" (empty text).
  std::string render(std::string_view format) const;

 private:
  std::vector<std::string> headers_;
  std::vector<bool> left_;
  std::vector<std::vector<std::string>> rows_;
};

// Four significant digits without exponent where that is short: "0.9512", "12.35", "1235", "-".
std::string short_number(double value);

}  // namespace ra::bench
