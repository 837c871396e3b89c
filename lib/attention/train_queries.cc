// SPDX-License-Identifier: Apache-2.0
#include "lib/attention/train_queries.h"

#include <algorithm>

#include "lib/core/error.h"

namespace ra::attention {

std::vector<std::int64_t> train_positions(std::int64_t prompt_tokens, std::int64_t most) {
  RA_CHECK(prompt_tokens > 0 && most > 0);
  const std::int64_t stride = (prompt_tokens + most - 1) / most;
  std::vector<std::int64_t> positions;
  for (std::int64_t pos = 0; pos < prompt_tokens; pos += stride) positions.push_back(pos);
  return positions;
}

std::pair<std::size_t, std::size_t> training_rows(std::span<const std::int64_t> pos,
                                                  std::int64_t begin, std::int64_t end,
                                                  std::size_t fewest) {
  const auto row = [&](std::int64_t at) {
    return static_cast<std::size_t>(std::ranges::lower_bound(pos, at) - pos.begin());
  };
  const std::size_t last = std::max(row(end), std::min(fewest, pos.size()));
  return {std::min(row(begin), last - std::min(last, fewest)), last};
}

std::vector<std::size_t> budget_rows(std::span<const std::int64_t> pos) {
  constexpr std::size_t kMost = 32;
  const std::size_t first = pos.size() * 3 / 4, count = pos.size() - first,
                    take = std::min(kMost, count);
  std::vector<std::size_t> rows;
  for (std::size_t i = 0; i < take; ++i) rows.push_back(first + i * count / take);
  return rows;
}

TrainQueries::TrainQueries(const model::Config& config, std::int64_t prompt_tokens,
                           std::int64_t max_positions)
    : sample_{train_positions(prompt_tokens, max_positions), {}} {
  for (int layer = 0; layer < config.n_layers; ++layer)
    sample_.layers.emplace_back(static_cast<std::size_t>(config.n_heads) * sample_.pos.size(),
                                static_cast<std::size_t>(config.head_dim));
}

void TrainQueries::on_qkv(const model::QkvView& view) {
  Matrix<bf16>& store = sample_.layers[static_cast<std::size_t>(view.layer)];
  const std::size_t count = sample_.pos.size(), dim = store.cols(), heads = store.rows() / count;
  auto pos = std::lower_bound(sample_.pos.begin(), sample_.pos.end(), view.pos);
  for (; pos != sample_.pos.end() && *pos < view.pos + static_cast<std::int64_t>(view.q.rows);
       ++pos) {
    const float* row = view.q.row(static_cast<std::size_t>(*pos - view.pos));
    const auto slot = static_cast<std::size_t>(pos - sample_.pos.begin());
    for (std::size_t h = 0; h < heads; ++h)
      std::transform(row + h * dim, row + (h + 1) * dim, store.row(h * count + slot),
                     [](float v) { return to_bf16(v); });
  }
}

Matrix<float> TrainQueries::rows(int layer, int head, std::size_t first, std::size_t last) const {
  const Matrix<bf16>& store = sample_.layers[static_cast<std::size_t>(layer)];
  Matrix<float> out(last - first, store.cols());
  const bf16* from = store.row(static_cast<std::size_t>(head) * sample_.pos.size() + first);
  std::transform(from, from + out.rows() * out.cols(), out.data(),
                 [](bf16 v) { return to_float(v); });
  return out;
}

Matrix<float> TrainQueries::head(int layer, int head, std::int64_t begin, std::int64_t end) const {
  const std::size_t dim = sample_.layers[static_cast<std::size_t>(layer)].cols();
  const auto [first, last] = training_rows(sample_.pos, begin, end, 2 * dim);
  return rows(layer, head, first, last);
}

Matrix<float> TrainQueries::between(int layer, int head, std::int64_t begin,
                                    std::int64_t end) const {
  const auto [first, last] = training_rows(sample_.pos, begin, end, 0);
  return rows(layer, head, first, last);
}

PlacedQueries TrainQueries::budget_queries(int layer, int head) const {
  const Matrix<bf16>& store = sample_.layers[static_cast<std::size_t>(layer)];
  const std::vector<std::size_t> rows = budget_rows(sample_.pos);
  PlacedQueries out{Matrix<float>(rows.size(), store.cols()), {}};
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const bf16* from = store.row(static_cast<std::size_t>(head) * sample_.pos.size() + rows[i]);
    std::transform(from, from + store.cols(), out.rows.row(i), [](bf16 v) { return to_float(v); });
    out.positions.push_back(sample_.pos[rows[i]]);
  }
  return out;
}

}  // namespace ra::attention
