// SPDX-License-Identifier: Apache-2.0
#include "lib/bench/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "lib/core/error.h"

namespace ra::bench {
namespace {

// Code points: every byte that does not continue a UTF-8 sequence. Headers hold no wide characters.
std::size_t width(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

std::string quoted(const std::string& cell) {
  if (cell.find_first_of(",\"\r\n") == std::string::npos) return cell;
  std::string out = "\"";
  for (const char c : cell) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + "\"";
}

std::string escape_bars(const std::string& cell) {
  std::string out;
  for (const char c : cell) out += c == '|' ? std::string("\\|") : std::string(1, c);
  return out;
}

}  // namespace

Table::Table(std::vector<std::string> headers) : headers_(std::move(headers)) {
  for (std::string& h : headers_) {
    left_.push_back(h.starts_with('<'));
    if (left_.back()) h.erase(0, 1);
  }
}

void Table::add(std::vector<std::string> row) {
  RA_CHECK(row.size() == headers_.size());
  rows_.push_back(std::move(row));
}

std::string Table::markdown() const {
  std::vector<std::size_t> widths;
  for (const auto& h : headers_) widths.push_back(std::max<std::size_t>(width(h), 2));
  std::vector<std::vector<std::string>> rows = rows_;
  for (auto& row : rows)
    for (std::size_t c = 0; c < row.size(); ++c) {
      row[c] = escape_bars(row[c]);
      widths[c] = std::max(widths[c], width(row[c]));
    }
  std::string out;
  const auto line = [&](const std::vector<std::string>& cells) {
    for (std::size_t c = 0; c < cells.size(); ++c) {
      const std::string pad(widths[c] - width(cells[c]), ' ');
      out +=
          left_[c] ? fmt::format("| {}{} ", cells[c], pad) : fmt::format("| {}{} ", pad, cells[c]);
    }
    out += "|\n";
  };
  line(headers_);
  for (std::size_t c = 0; c < headers_.size(); ++c)
    out += left_[c] ? fmt::format("|{}", std::string(widths[c] + 2, '-'))
                    : fmt::format("|{}:", std::string(widths[c] + 1, '-'));
  out += "|\n";
  for (const auto& row : rows) line(row);
  return out;
}

std::string Table::csv() const {
  std::string out;
  const auto line = [&](const std::vector<std::string>& cells) {
    for (std::size_t c = 0; c < cells.size(); ++c) out += (c > 0 ? "," : "") + quoted(cells[c]);
    out += "\n";
  };
  line(headers_);
  for (const auto& row : rows_) line(row);
  return out;
}

std::string Table::render(std::string_view format) const {
  if (format == "none") return "";
  return format == "csv" ? csv() : markdown();
}

std::string short_number(double value) {
  if (!std::isfinite(value)) return "-";
  const double magnitude = std::abs(value);
  if (magnitude == 0) return "0";
  if (magnitude < 1e-3 || magnitude >= 1e7) return fmt::format("{:.2e}", value);
  const int before = magnitude < 1 ? 0 : static_cast<int>(std::log10(magnitude)) + 1;
  return fmt::format("{:.{}f}", value, std::max(0, 4 - std::max(before, 0)));
}

}  // namespace ra::bench
