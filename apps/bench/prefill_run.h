// SPDX-License-Identifier: Apache-2.0
// A prefill with its clock, its parts and the compute limit, measured in the same run.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "lib/core/json.h"
#include "lib/model/cost.h"
#include "lib/model/decoder.h"

namespace ra::bench_app {

struct PrefillRun {
  std::int64_t tokens = 0;
  double ms = 0;                     // without the probes of the limit and `between_chunks`
  model::StepTimes parts;            // sums over all chunks
  model::PrefillFlops flops;         // of the model's shapes
  std::vector<double> peak_tflop_s;  // what was measured beside it, if anything
  std::vector<float> logits;         // [vocab] of the last position

  double tflop_s() const { return flops.total() / ms / 1e9; }
  // What the machine could have multiplied in that time: the mean of the probes. A shared host
  // changes its speed within seconds, and one probe before the run would flatter or damn it. There
  // must be one.
  double mean_peak_tflop_s() const;
};

// Prefills the decoder's empty cache, with a progress line. `ids` is not empty. `between_chunks` is
// called after each chunk, `peak_tflop_s` before the first and then once a second; it may be empty.
PrefillRun timed_prefill(model::Decoder& decoder, std::span<const std::int32_t> ids,
                         const std::function<double()>& peak_tflop_s,
                         const std::function<void()>& between_chunks);

// The fields prefill_* of a decode record.
void add_metrics(const PrefillRun& run, Json& metrics);

}  // namespace ra::bench_app
