// SPDX-License-Identifier: Apache-2.0
#include "lib/store/manifest.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <iterator>

#include "lib/core/error.h"
#include "lib/core/json.h"

namespace ra::store {
namespace fs = std::filesystem;
namespace {

// Most tokens, up to `limit`, whose vectors of `layers` layers fit.
std::int64_t tokens_that_fit(const DumpInfo& info, std::int64_t layers, std::uint64_t bytes,
                             std::int64_t limit) {
  const auto queries = static_cast<std::int64_t>(info.q_pos.size());
  std::int64_t low = 0, high = limit;  // bytes grow with tokens
  while (low < high) {
    const std::int64_t middle = low + (high - low + 1) / 2;
    if (vector_bytes(info, layers, middle, std::min(middle, queries)) <= bytes)
      low = middle;
    else
      high = middle - 1;
  }
  return low;
}

std::int64_t number(const Json& j, std::int64_t most) {
  const auto value = j.get<std::int64_t>();
  if (!j.is_number_integer() || value < 0 || value > most) throw std::invalid_argument("a number");
  return value;
}

PartEntry parse_entry(const std::string& line) {
  constexpr std::int64_t kMost = std::int64_t{1} << 40;
  const Json j = Json::parse(line);
  PartEntry e;
  e.part = j.at("part").get<std::string>();
  e.bytes = static_cast<std::uint64_t>(number(j.at("bytes"), INT64_MAX));
  e.sha256 = j.at("sha256").get<std::string>();
  e.config_sha256 = j.at("config_sha256").get<std::string>();
  e.range.layer_begin = static_cast<int>(number(j.at("layers").at(0), 1 << 20));
  e.range.layer_end = static_cast<int>(number(j.at("layers").at(1), 1 << 20));
  e.range.token_begin = number(j.at("tokens").at(0), kMost);
  e.range.token_end = number(j.at("tokens").at(1), kMost);
  const Json& grid = j.at("grid");
  e.grid = {number(grid.at(0), kMost), number(grid.at(1), kMost),
            static_cast<int>(number(grid.at(2), 1 << 20))};
  if (e.range.layer_begin >= e.range.layer_end || e.range.token_begin >= e.range.token_end)
    throw std::invalid_argument("an empty range");
  if (e.grid.tokens < 1 || e.grid.decode_tokens < 1 || e.grid.layers < 1)
    throw std::invalid_argument("a bad grid");
  if (e.part != part_name(e.range)) throw std::invalid_argument("a name that is not its range's");
  return e;
}

}  // namespace

std::int64_t Grid::next_cut(const DumpInfo& info, std::int64_t pos) const {
  if (pos < info.n_prefill) return std::min((pos / tokens + 1) * tokens, info.n_prefill);
  const std::int64_t generated = pos - info.n_prefill;
  return std::min(info.n_prefill + (generated / decode_tokens + 1) * decode_tokens, info.n_tokens);
}

Grid choose_grid(const DumpInfo& info, const WriterOptions& options) {
  const auto n_layers = static_cast<std::int64_t>(info.layers.size());
  const std::int64_t block = options.append_rows;
  const std::int64_t limit = (info.n_tokens / block + 1) * block;
  const std::int64_t fit = tokens_that_fit(info, n_layers, options.part_bytes, limit);
  Grid grid;
  grid.decode_tokens = std::max<std::int64_t>(fit, 1);
  if (fit >= block || fit >= info.n_tokens) {
    grid.tokens = std::max(fit / block * block, block);
    grid.layers = static_cast<int>(n_layers);
    return grid;
  }
  grid.tokens = block;
  const std::int64_t rows = std::min(block, info.n_tokens);
  const std::uint64_t one =
      vector_bytes(info, 1, rows, std::min<std::int64_t>(rows, std::ssize(info.q_pos)));
  grid.layers = static_cast<int>(std::clamp<std::int64_t>(
      static_cast<std::int64_t>(options.part_bytes / std::max<std::uint64_t>(one, 1)), 1,
      n_layers));
  return grid;
}

fs::path parts_folder(const fs::path& out) { return out.string() + ".parts"; }

fs::path manifest_file(const fs::path& folder) { return folder / "manifest.jsonl"; }

std::string part_name(const Range& range) {
  return fmt::format("{:03}-{:03}_{:010}.h5", range.layer_begin, range.layer_end - 1,
                     range.token_begin);
}

bool is_part_name(std::string_view name) {
  return name.ends_with(".h5") &&
         name.find_first_not_of("0123456789-_") == name.size() - std::string_view(".h5").size();
}

std::string to_line(const PartEntry& e) {
  Json j;
  j["part"] = e.part;
  j["bytes"] = e.bytes;
  j["sha256"] = e.sha256;
  j["layers"] = {e.range.layer_begin, e.range.layer_end};
  j["tokens"] = {e.range.token_begin, e.range.token_end};
  j["config_sha256"] = e.config_sha256;
  j["grid"] = {e.grid.tokens, e.grid.decode_tokens, e.grid.layers};
  return j.dump();
}

std::vector<PartEntry> read_manifest(const fs::path& folder) {
  std::ifstream in(manifest_file(folder), std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  std::vector<PartEntry> entries;
  std::size_t begin = 0;
  for (std::size_t end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
    try {
      entries.push_back(parse_entry(text.substr(begin, end - begin)));
    } catch (const std::exception& e) {  // of the JSON library, or ours above
      fail_bad_data({.what = "bad manifest",
                     .file = manifest_file(folder).string(),
                     .where = fmt::format("line {}", entries.size() + 1),
                     .why = e.what(),
                     .hint = "without --resume and with --force the dump starts again"});
    }
  }
  return entries;
}

}  // namespace ra::store
