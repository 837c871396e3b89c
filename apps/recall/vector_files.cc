// SPDX-License-Identifier: Apache-2.0
#include "apps/recall/vector_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <string>
#include <vector>

#include "lib/core/error.h"
#include "lib/core/output_file.h"

namespace ra::recall {
namespace {

static_assert(std::endian::native == std::endian::little, "files are little-endian");

constexpr std::size_t kRowsAtOnce = 4096;

void append_u32s(OutputFile& out, std::size_t a, std::size_t b) {
  const std::uint32_t header[2] = {static_cast<std::uint32_t>(a), static_cast<std::uint32_t>(b)};
  RA_CHECK(header[0] == a && header[1] == b);
  out.append(std::as_bytes(std::span(header)));
}

void append_rows(OutputFile& out, MatView<const float> x) {
  for (std::size_t i = 0; i < x.rows; ++i)
    if (x.stride != x.cols || i % kRowsAtOnce == 0) {
      const std::size_t rows = x.stride != x.cols ? 1 : std::min(kRowsAtOnce, x.rows - i);
      out.append(std::as_bytes(std::span(x.row(i), rows * x.cols)));
    }
}

// Magic, version 1.0, header length, then a dictionary padded with spaces to a multiple of 64.
void append_npy_header(OutputFile& out, const char* type, const std::string& shape) {
  std::string dict =
      fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", type, shape);
  dict += std::string(63 - (10 + dict.size()) % 64, ' ') + "\n";
  const auto length = static_cast<std::uint16_t>(dict.size());
  out.append(std::string_view("\x93NUMPY\x01\x00", 8));
  out.append(std::as_bytes(std::span(&length, 1)));
  out.append(dict);
}

// Exact for values that are an f16; RA_CHECK otherwise.
std::uint16_t to_f16(float value) {
  const auto u = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint16_t>((u >> 16) & 0x8000u);
  const std::uint32_t magnitude = u & 0x7fffffffu;
  if (magnitude == 0) return sign;
  const int exponent = static_cast<int>(magnitude >> 23) - 127;
  std::uint32_t fraction = (magnitude & 0x7fffffu) | 0x800000u;
  // Bits of the f32 fraction below an f16's: 13 for normal numbers, more for subnormal ones.
  const int dropped = exponent >= -14 ? 13 : -1 - exponent;
  RA_CHECK(exponent <= 15 && dropped <= 23 && (fraction & ((1u << dropped) - 1)) == 0);
  fraction >>= dropped;
  const std::uint32_t bits =
      exponent >= -14 ? (static_cast<std::uint32_t>(exponent + 14) << 10) + fraction : fraction;
  return static_cast<std::uint16_t>(sign | bits);
}

}  // namespace

void write_fbin(const std::filesystem::path& file, MatView<const float> x, bool force) {
  OutputFile out(file, force, 8 + x.rows * x.cols * 4);
  append_u32s(out, x.rows, x.cols);
  append_rows(out, x);
  out.commit();
}

void write_truth(const std::filesystem::path& file, std::size_t k,
                 std::span<const std::uint32_t> ids, std::span<const float> scores, bool force) {
  RA_CHECK(k > 0 && ids.size() % k == 0 && ids.size() == scores.size());
  OutputFile out(file, force, 8 + 8 * ids.size());
  append_u32s(out, ids.size() / k, k);
  out.append(std::as_bytes(ids));
  out.append(std::as_bytes(scores));
  out.commit();
}

void write_npy(const std::filesystem::path& file, MatView<const float> x, bool force) {
  OutputFile out(file, force);
  append_npy_header(out, "<f4", fmt::format("{}, {}", x.rows, x.cols));
  append_rows(out, x);
  out.commit();
}

void write_npy_f16(const std::filesystem::path& file, MatView<const float> x, bool force) {
  OutputFile out(file, force);
  append_npy_header(out, "<f2", fmt::format("{}, {}", x.rows, x.cols));
  std::vector<std::uint16_t> row(x.cols);
  for (std::size_t i = 0; i < x.rows; ++i) {
    for (std::size_t j = 0; j < x.cols; ++j) row[j] = to_f16(x.row(i)[j]);
    out.append(std::as_bytes(std::span(row)));
  }
  out.commit();
}

void write_npy(const std::filesystem::path& file, std::span<const std::int64_t> x, bool force) {
  OutputFile out(file, force);
  append_npy_header(out, "<i8", fmt::format("{},", x.size()));
  out.append(std::as_bytes(x));
  out.commit();
}

}  // namespace ra::recall
