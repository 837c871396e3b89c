// SPDX-License-Identifier: Apache-2.0
#include "apps/bench/prefill_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <numeric>

#include "lib/core/clock.h"
#include "lib/core/progress.h"

namespace ra::bench_app {
double PrefillRun::mean_peak_tflop_s() const {
  return std::accumulate(peak_tflop_s.begin(), peak_tflop_s.end(), 0.0) /
         static_cast<double>(peak_tflop_s.size());
}

PrefillRun timed_prefill(model::Decoder& decoder, std::span<const std::int32_t> ids,
                         const std::function<double()>& peak_tflop_s,
                         const std::function<void()>& between_chunks) {
  using Clock = std::chrono::steady_clock;
  constexpr double kProbeEveryMs = 1000;
  PrefillRun run;
  run.tokens = std::ssize(ids);
  run.flops = model::prefill_flops(decoder.model().config, decoder.model().weights, run.tokens);
  if (peak_tflop_s) run.peak_tflop_s.push_back(peak_tflop_s());
  Progress progress(fmt::format("prefill {}", run.tokens), static_cast<std::uint64_t>(run.tokens),
                    "tokens");
  double probing_ms = 0, between_ms = 0;
  auto probed = Clock::now();
  const auto start = probed;
  const auto logits = decoder.prefill(
      ids, {},
      [&](std::int64_t done) {
        progress.update(static_cast<std::uint64_t>(done));
        const auto chunk_end = Clock::now();
        between_chunks();
        between_ms += ms_since(chunk_end);
        if (!peak_tflop_s || ms_since(probed) < kProbeEveryMs) return true;
        const auto before = Clock::now();
        run.peak_tflop_s.push_back(peak_tflop_s());
        probing_ms += ms_since(before);
        probed = Clock::now();
        return true;
      },
      &run.parts);
  run.ms = ms_since(start) - probing_ms - between_ms;
  run.logits.assign(logits.begin(), logits.end());
  return run;
}

void add_metrics(const PrefillRun& run, Json& x) {
  const model::StepTimes& p = run.parts;
  x["prefill_ms"] = run.ms;
  x["prefill_tok_s"] = static_cast<double>(run.tokens) / run.ms * 1000;
  x["prefill_qkv_ms"] = p.qkv_ms;
  x["prefill_attention_ms"] = p.attend_ms;
  x["prefill_proj_ms"] = p.proj_ms;
  x["prefill_ffn_ms"] = p.ffn_ms;
  x["prefill_head_ms"] = p.head_ms;
  x["prefill_other_ms"] =
      std::max(0.0, run.ms - p.qkv_ms - p.attend_ms - p.proj_ms - p.ffn_ms - p.head_ms);
  x["prefill_linear_tflop"] = run.flops.linear / 1e12;
  x["prefill_attention_tflop"] = run.flops.attention / 1e12;
  x["prefill_tflop_per_s"] = run.tflop_s();
  const bool measured = !run.peak_tflop_s.empty();
  x["multiply_peak_tflop_per_s"] = measured ? Json(run.mean_peak_tflop_s()) : Json(nullptr);
  x["prefill_peak_frac"] = measured ? Json(run.tflop_s() / run.mean_peak_tflop_s()) : Json(nullptr);
}

}  // namespace ra::bench_app
