// SPDX-License-Identifier: Apache-2.0
// The ways in which RetrievalAttention and its rivals fail beside full attention, recognised in
// result records: accuracy lost, latency risen, memory exhausted (arXiv 2409.10516, section 4).
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "lib/core/json.h"

namespace ra::bench {

// Mean KL divergence to full attention from which a reader may notice: about what rounding the
// weights of an 8B model to 3 bits costs (Q3_K_M: 0.05, 90 % same next tokens; Q5_K_M: 0.005).
inline constexpr double kAccuracyKl = 0.05;
// Times full attention's median step: two runs of one program on one shared host differ by less.
inline constexpr double kSlower = 1.05;
// Times the bytes of the KV cache: an index as large as what it indexes halves the context that
// fits into a machine.
inline constexpr double kLargeIndex = 1.0;

enum class Sign { kAccuracy, kFacts, kLatency, kMemory };

struct FailureSign {
  std::size_t record = 0;  // of those given
  Sign sign = Sign::kAccuracy;
  std::string words;  // "loses accuracy: KL 1.9 to full attention; ..."
};

// Signs in `decode` and `quality` records of one run, in their order. Speed and facts are compared
// with the record of mode `full` at the same context, if there is one; facts count as lost where
// the whole 95 % interval of their share lies below full attention's.
std::vector<FailureSign> failure_signs(const std::vector<Json>& records);

}  // namespace ra::bench
