// SPDX-License-Identifier: Apache-2.0
// Exact attention over all keys, or a layer's window of them: prefill of every mode, and mode
// `full` in decode.
#pragma once

#include <vector>

#include "kernels/partial.h"
#include "lib/core/matrix.h"
#include "lib/model/attention_policy.h"
#include "lib/model/backend.h"

namespace ra::model {

// Work is split into fixed tiles (prefill) and fixed key ranges (decode) and merged in a fixed
// order: the same bits for any number of threads.
class ExactAttention : public AttentionPolicy {
 public:
  explicit ExactAttention(Compute compute = Compute::kAuto) : compute_(compute) {}
  AttendStats attend(const AttendInput& in, MatView<float> out) override;

 private:
  AttendStats prefill(const AttendInput& in, MatView<float> out);
  AttendStats decode(const AttendInput& in, MatView<float> out);

  Compute compute_;
  std::vector<AlignedBuffer<std::byte>> scratch_;  // per thread
  AlignedBuffer<float> acc_;                       // [kv_heads * splits, group, value_dim]
  std::vector<kernels::Partial> parts_;            // [kv_heads * splits, group]
};

}  // namespace ra::model
