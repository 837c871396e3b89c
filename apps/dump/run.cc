// SPDX-License-Identifier: Apache-2.0
#include "apps/dump/run.h"

#include <fmt/format.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

#include "apps/dump/dump_sink.h"
#include "apps/dump/plan.h"
#include "apps/dump/request.h"
#include "lib/core/error.h"
#include "lib/core/output_file.h"
#include "lib/core/progress.h"
#include "lib/core/signals.h"
#include "lib/model/cpu_backend.h"
#include "lib/model/exact_attention.h"
#include "lib/model/sampler.h"

namespace ra::dump_app {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Thrown by the tap between two layers when a signal asks for the end.
struct Interrupted {};

struct Outcome {
  std::vector<std::int32_t> ids;
  std::vector<float> nll, logits_last;
  double prefill_s = 0, decode_s = 0;
};

// The forward pass: prompt in chunks, then one token at a time, everything into the writer.
class Run {
 public:
  Run(const DumpOptions& o, const cli::CommonOptions& common, const Request& r, const Plan& plan,
      store::DumpWriter& writer)
      : o_(o),
        r_(r),
        sampler_{.temperature = o.temperature, .seed = common.seed},
        cache_(plan.cache),
        backend_(compute_of(o)),
        attention_(compute_of(o)),
        decoder_(r.model, backend_, cache_, attention_, plan.decoder),
        sink_(writer, [this](const model::QkvView& view) { after_layer(view); }) {
    decoder_.set_sink(&sink_);
  }

  Outcome operator()() {
    Outcome out;
    out.ids = r_.prompt;
    auto start = Clock::now();
    std::span<const float> logits = prefill(out);
    out.prefill_s = seconds_since(start);
    start = Clock::now();
    progress_.emplace("generate", static_cast<std::uint64_t>(o_.generate), "tokens");
    for (std::int64_t i = 0; i < o_.generate; ++i) {
      const std::int32_t id = model::sample(logits, sampler_, static_cast<std::uint64_t>(i));
      keep_nll(out, logits, id);
      out.ids.push_back(id);
      logits = decoder_.step(id);
      progress_->update(static_cast<std::uint64_t>(i) + 1);
    }
    progress_.reset();
    out.decode_s = seconds_since(start);
    if (o_.logits) out.logits_last.assign(logits.begin(), logits.end());
    return out;
  }

 private:
  std::span<const float> prefill(Outcome& out) {
    model::Decoder::OnLogits on_logits;
    if (o_.logits)
      on_logits = [&](std::int64_t pos, MatView<const float> logits) {
        for (std::size_t i = 0; i < logits.rows; ++i) {
          const std::size_t next = static_cast<std::size_t>(pos) + i + 1;
          if (next < r_.prompt.size()) keep_nll(out, {logits.row(i), logits.cols}, r_.prompt[next]);
        }
      };
    progress_.emplace("prefill", r_.prompt.size(), "tokens");
    return decoder_.prefill(r_.prompt, on_logits);
  }

  void keep_nll(Outcome& out, std::span<const float> logits, std::int32_t id) const {
    if (o_.logits) out.nll.push_back(static_cast<float>(model::nll(logits, id)));
  }

  void after_layer(const model::QkvView& view) {
    if (interrupted()) throw Interrupted{};
    if (view.pos >= r_.info.n_prefill) return;
    const std::uint64_t rows = view.q.rows, layers = static_cast<std::uint64_t>(r_.info.n_layers);
    progress_->update(static_cast<std::uint64_t>(view.pos) +
                      rows * (static_cast<std::uint64_t>(view.layer) + 1) / layers);
  }

  const DumpOptions& o_;
  const Request& r_;
  model::SamplerOptions sampler_;
  model::KvCache cache_;
  model::CpuBackend backend_;
  model::ExactAttention attention_;
  model::Decoder decoder_;
  DumpSink sink_;
  std::optional<Progress> progress_;
};

[[noreturn]] void stop(const DumpOptions& o, const Request& r, store::DumpWriter& writer) {
  writer.suspend();
  fail(Exit::kInterrupted,
       {.what = "interrupted",
        .file = o.out,
        .where = signal_name(caught_signal()),
        .why = fmt::format("{} of {} tokens are kept", writer.resume_position(), r.info.n_tokens),
        .hint = "the same command with --resume goes on"});
}

std::string size_text(double bytes) {
  return bytes < 1 << 20   ? fmt::format("{:.1f} KiB", bytes / 1024)
         : bytes < 1 << 30 ? fmt::format("{:.1f} MiB", bytes / (1 << 20))
                           : fmt::format("{:.2f} GiB", bytes / (1 << 30));
}

std::string pace(const char* what, std::int64_t tokens, double seconds) {
  return fmt::format("{} {} tokens in {:.2f} s ({:.1f} tok/s)", what, tokens, seconds,
                     static_cast<double>(tokens) / seconds);
}

void print_summary(const DumpOptions& o, const Request& r, const Outcome& outcome, double total_s) {
  std::error_code ignored;
  double bytes = static_cast<double>(std::filesystem::file_size(o.out, ignored));
  for (const auto& part : std::filesystem::directory_iterator(o.out + ".parts", ignored))
    bytes += static_cast<double>(part.file_size(ignored));
  const store::DumpInfo& info = r.info;
  fmt::print("{}: {} tokens, {} of {} layers, {} queries per head, {}, {}\n", escaped(o.out),
             info.n_tokens, info.layers.size(), info.n_layers, info.q_pos.size(), o.dtype,
             size_text(bytes));
  fmt::print("{}", pace("prefill", info.n_prefill, outcome.prefill_s));
  if (o.generate > 0) fmt::print(", {}", pace("decode", o.generate, outcome.decode_s));
  fmt::print(", {:.2f} s in all\n", total_s);
  if (o.generate == 0 || r.tokenizer == nullptr) return;
  const auto generated = std::span(outcome.ids).subspan(r.prompt.size());
  fmt::print("generated: {}\n", escaped(r.tokenizer->decode(generated)));
}

}  // namespace

int run_dump(const DumpOptions& o, const cli::CommonOptions& common) {
  check(o);
  const auto start = Clock::now();
  if (!o.estimate) check_output(o.out, o.force || o.resume);
  Request r = make_request(o, common);
  const Plan plan = make_plan(o, common, r);
  if (o.estimate) {
    print_estimate(o, common, r, plan);
    return 0;
  }
  check_memory(plan.needs, memory_limit(common.memory_limit));
  r.info.model_sha256 = r.file->sha256();
  const auto writer = store::DumpWriter::create(r.info, plan.writer);
  if (writer->complete()) {
    if (!common.quiet) fmt::print("{}: is complete already\n", escaped(o.out));
    return 0;
  }
  Outcome outcome;
  try {
    outcome = Run(o, common, r, plan, *writer)();
  } catch (const Interrupted&) {
    stop(o, r, *writer);
  }
  r.file->check_unchanged();
  writer->finish(outcome.ids, outcome.nll, outcome.logits_last);
  if (!common.quiet) print_summary(o, r, outcome, seconds_since(start));
  return 0;
}

}  // namespace ra::dump_app
