// SPDX-License-Identifier: Apache-2.0
#include "lib/attention/cuda_row_search.h"

#include <algorithm>

#include "kernels/cuda/device.h"
#include "lib/core/error.h"
#include "lib/index/key_store.h"
#include "lib/model/cuda_errors.h"

namespace ra::attention {

static_assert(index::RowSearch::kMost <= cuda::kMostTopk);

CudaRowSearch::CudaRowSearch(int device) try : device_(device) {
} catch (const cuda::DeviceError& e) {
  model::fail_device(e);
}

// x as contiguous rows on the device.
const float* CudaRowSearch::bring(MatView<const float> x, cuda::DeviceBuffer<float>& to) {
  if (x.stride != x.cols) return bring(index::copy_rows(x).view(), to);
  to.reserve_discard(x.rows * x.cols);
  copies_.to_device(to.data(), x.data, x.rows * x.cols);
  stream_.synchronise();  // x may be gone then
  return to.data();
}

void CudaRowSearch::best_rows(MatView<const float> queries, MatView<const float> rows,
                              const float* bias, std::size_t m, std::uint32_t* ids, float* scores) {
  RA_CHECK(m > 0 && m <= kMost && queries.cols == rows.cols);
  m = std::min(m, rows.rows);
  if (m == 0 || queries.rows == 0) return;
  const std::lock_guard lock(busy_);
  model::on_device([&] {
    cuda::select(device_);  // of this thread
    const MatView<const float> among(bring(rows, rows_), rows.rows, rows.cols);
    const float* add = bias == nullptr ? nullptr : bring({bias, 1, rows.rows}, bias_);
    const std::size_t most = std::min(kQueries, kResults / m);
    for (std::size_t first = 0; first < queries.rows; first += most) {
      const std::size_t n = std::min(most, queries.rows - first);
      const MatView<const float> q(bring(queries.row_range(first, n), queries_), n, queries.cols);
      ids_.reserve_discard(n * m);
      scores_.reserve_discard(n * m);
      if (m == 1)
        tiles_.best_centres(q, among, add, ids_.data(), scores_.data());
      else
        tiles_.best_keys(q, among, add, m, ids_.data(), scores_.data());
      copies_.to_host(ids + first * m, ids_.data(), n * m);
      copies_.to_host(scores + first * m, scores_.data(), n * m);
      stream_.synchronise();
    }
  });
}

std::size_t CudaRowSearch::bytes(std::size_t rows, std::size_t dim, std::size_t m) {
  return cuda::ScoreTiles::bytes(m) + cuda::Gemm::kWorkspaceBytes +
         sizeof(float) * (rows * (dim + 1) + kQueries * dim + 2 * kResults);
}

}  // namespace ra::attention
