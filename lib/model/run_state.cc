// SPDX-License-Identifier: Apache-2.0
#include "lib/model/run_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "lib/core/error.h"
#include "lib/core/json.h"
#include "lib/core/output_file.h"
#include "lib/model/kv_tensors.h"

namespace ra::model {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kMagic = "RAKVPART";

// Indices [first, last) into sample.pos of the positions [begin, end).
std::pair<std::size_t, std::size_t> sampled(const QuerySample& sample, std::int64_t begin,
                                            std::int64_t end) {
  const auto index = [&](std::int64_t pos) {
    return static_cast<std::size_t>(std::lower_bound(sample.pos.begin(), sample.pos.end(), pos) -
                                    sample.pos.begin());
  };
  return {index(begin), index(end)};
}

template <class T>
void append_to(std::vector<T>& values, std::span<const std::byte> bytes) {
  const std::size_t old = values.size();
  values.resize(old + bytes.size() / sizeof(T));
  if (!bytes.empty()) std::memcpy(values.data() + old, bytes.data(), bytes.size());
}

// The rows of positions [begin, end) from a piece; throws before anything is changed.
void load_queries(const TensorFile& file, std::int64_t begin, std::int64_t end,
                  QuerySample& sample) {
  const auto [first, last] = sampled(sample, begin, end);
  const std::size_t n = last - first, all = sample.pos.size();
  for (std::size_t layer = 0; layer < sample.layers.size(); ++layer) {
    const auto pos = file.require(static_cast<int>(layer), "q_train_pos", n * sizeof(std::int64_t));
    if (n > 0 && std::memcmp(pos.data(), sample.pos.data() + first, pos.size()) != 0)
      file.refuse("q_train_pos", "samples other positions");
    (void)file.require(static_cast<int>(layer), "q_train", sample.layers[layer].bytes() / all * n);
  }
  for (std::size_t layer = 0; layer < sample.layers.size(); ++layer) {
    Matrix<bf16>& rows = sample.layers[layer];
    const std::size_t bytes = n * rows.cols() * sizeof(bf16), heads = rows.rows() / all;
    const std::byte* from = file.find(static_cast<int>(layer), "q_train")->bytes.data();
    for (std::size_t h = 0; h < heads && n > 0; ++h)
      std::memcpy(rows.row(h * all + first), from + h * bytes, bytes);
  }
}

}  // namespace

RunState::RunState(fs::path folder, std::string run_sha256)
    : folder_(std::move(folder)), run_sha256_(std::move(run_sha256)) {}

fs::path RunState::piece(std::int64_t first) const {
  return folder_ / fmt::format("{:010}.kv", first);
}

std::vector<std::int32_t> RunState::load(KvCache& cache, RunRecord& record) {
  RA_CHECK(cache.size() == 0 && end_ == 0);
  std::vector<std::int32_t> ids;
  try {
    for (std::error_code ignored; fs::exists(piece(end_), ignored);) {
      const TensorFile file(piece(end_), kMagic, "piece of a run");
      if (file.text("run_sha256") != run_sha256_) file.refuse("run_sha256", "is of another run");
      const std::int64_t first = file.integer("first_token", end_, end_);
      const std::int64_t n = file.integer("n_tokens", 1, cache.shape().capacity - first);
      if (file.text("dtype") != name_of(cache.shape().type))
        file.refuse("dtype", "is not that of the cache");
      check_kv(file, cache.shape(), n);
      const auto tokens =
          file.require(0, "ids", static_cast<std::uint64_t>(n) * sizeof(std::int32_t));
      const TensorFile::Tensor* nll = file.find(0, "nll");
      if (nll == nullptr || nll->bytes.size() % sizeof(float) != 0)
        file.refuse("nll", "is missing");
      if (record.queries != nullptr) load_queries(file, first, first + n, *record.queries);
      append_kv(file, n, n, cache);
      append_to(ids, tokens);
      append_to(record.nll, nll->bytes);
      end_ += n;
    }
  } catch (const Error&) {
    // What this piece held is computed again, and the piece replaced.
  }
  nll_ = record.nll.size();
  return ids;
}

void RunState::save(const KvCache& cache, std::int64_t end, const RunRecord& record) {
  if (end <= end_) return;
  RA_CHECK(end <= cache.size() && end <= std::ssize(record.ids) && nll_ <= record.nll.size());
  make_folder(folder_);
  const Json header{{"run_sha256", run_sha256_},
                    {"first_token", end_},
                    {"n_tokens", end - end_},
                    {"dtype", name_of(cache.shape().type)}};
  std::vector<TensorSource> tensors;
  add_kv(tensors, cache, end_, end - end_);
  if (record.queries != nullptr) {
    const auto [first, last] = sampled(*record.queries, end_, end);
    add_queries(tensors, *record.queries, first, last - first);
  }
  const auto ids =
      std::span(record.ids)
          .subspan(static_cast<std::size_t>(end_), static_cast<std::size_t>(end - end_));
  tensors.push_back({0, "ids", {std::as_bytes(ids)}});
  tensors.push_back({0, "nll", {std::as_bytes(std::span(record.nll).subspan(nll_))}});
  write_tensor_file(piece(end_), true, kMagic, header, tensors);
  end_ = end;
  nll_ = record.nll.size();
}

}  // namespace ra::model
