// SPDX-License-Identifier: Apache-2.0
#include "lib/model/backend.h"

#include <algorithm>
#include <bit>

#include "lib/core/error.h"
#include "lib/core/matrix.h"

namespace ra::model {

std::shared_ptr<float> Backend::allocate(std::size_t n) {
  auto buffer = std::make_shared<AlignedBuffer<float>>(n);
  return {buffer, buffer->data()};
}

void Backend::from_host(MatView<const float> rows, MatView<float> x) {
  RA_CHECK(rows.rows == x.rows && rows.cols == x.cols);
  for (std::size_t r = 0; r < x.rows; ++r) std::copy_n(rows.row(r), x.cols, x.row(r));
}

// All exponent bits set means NaN or infinity; no early exit within a row, so the loop vectorises.
std::optional<std::size_t> Backend::first_bad_row(MatView<const float> x) {
  constexpr std::uint32_t kExponent = 0x7f800000u;
  for (std::size_t r = 0; r < x.rows; ++r) {
    const float* row = x.row(r);
    std::uint32_t bad = 0;
    for (std::size_t i = 0; i < x.cols; ++i)
      bad |= static_cast<std::uint32_t>((std::bit_cast<std::uint32_t>(row[i]) & kExponent) ==
                                        kExponent);
    if (bad != 0) return r;
  }
  return std::nullopt;
}

void Backend::lap(double* ms) {
  const double passed = watch_.lap();
  if (ms != nullptr) *ms += passed;
}

}  // namespace ra::model
