// SPDX-License-Identifier: Apache-2.0
#include "apps/dump/run.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

#include "apps/dump/dump_sink.h"
#include "apps/dump/estimate.h"
#include "apps/dump/plan.h"
#include "apps/dump/request.h"
#include "lib/attention/train_queries.h"
#include "lib/core/error.h"
#include "lib/core/output_file.h"
#include "lib/core/progress.h"
#include "lib/core/signals.h"
#include "lib/model/cpu_backend.h"
#include "lib/model/exact_attention.h"
#include "lib/model/kv_snapshot.h"
#include "lib/model/run_state.h"
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
  model::RunRecord record;
  std::vector<float> logits_last;
  std::int64_t restored = 0;  // positions that an earlier run had computed
  double prefill_s = 0, decode_s = 0;
};

// The forward pass: prompt in chunks, then one token at a time, everything into the writer.
class Run {
 public:
  Run(const DumpOptions& o, const cli::CommonOptions& common, const Request& r, const Plan& plan,
      store::DumpWriter& writer)
      : o_(o),
        r_(r),
        writer_(writer),
        sampler_{.temperature = o.temperature, .seed = common.seed},
        cache_(plan.cache),
        backend_(compute_of(o)),
        attention_(compute_of(o)),
        decoder_(r.model, backend_, cache_, attention_, plan.decoder),
        state_(writer.state_folder(), writer.config_sha256()),
        sink_(writer, [this](const model::QkvView& view) { after_layer(view); }) {
    decoder_.set_sink(&sink_);
    if (!o.kv_out.empty() && !snapshot_is_there()) {
      queries_.emplace(r.model.config, r.info.n_prefill, kTrainPositions);
      out_.record.queries = &queries_->sample();
    }
  }

  const Outcome& operator()() {
    if (o_.resume) restore();
    std::vector<std::int32_t>& ids = out_.record.ids;
    if (ids.empty()) ids = r_.prompt;
    auto start = Clock::now();
    std::span<const float> logits =
        decoder_.position() < r_.info.n_prefill ? prefill() : decoder_.step(ids.back());
    out_.prefill_s = seconds_since(start);
    start = Clock::now();
    progress_.emplace("generate", static_cast<std::uint64_t>(o_.generate), "tokens");
    while (std::ssize(ids) < r_.info.n_tokens) {
      const std::int64_t i = std::ssize(ids) - r_.info.n_prefill;
      const std::int32_t id = model::sample(logits, sampler_, static_cast<std::uint64_t>(i));
      keep_nll(logits, id);
      ids.push_back(id);
      logits = decoder_.step(id);
      save_state();
      progress_->update(static_cast<std::uint64_t>(i) + 1);
    }
    progress_.reset();
    out_.decode_s = seconds_since(start);
    if (o_.logits) out_.logits_last.assign(logits.begin(), logits.end());
    return out_;
  }

  // Saves what a resume needs beside the finished parts, if parts were finished since the last
  // call.
  void save_state() {
    const std::int64_t kept = std::min(writer_.resume_position(), cache_.size());
    if (kept > state_.end() && kept < r_.info.n_tokens) state_.save(cache_, kept, out_.record);
  }

 private:
  // Takes back what an earlier run had computed and stored, up to a position from which the rest
  // comes out with the same bits.
  void restore() {
    model::RunRecord& record = out_.record;
    record.ids = state_.load(cache_, record);
    const std::int64_t n_prefill = r_.info.n_prefill;
    // Among generated tokens the last known one is run again, for its logits.
    std::int64_t position = std::min(state_.end() - 1, writer_.resume_position());
    const bool in_prompt =
        position < n_prefill || queries_;  // a snapshot needs the prompt's logits
    if (in_prompt)
      position = decoder_.chunk_start(n_prefill, std::min(state_.end(), writer_.resume_position()));
    cache_.truncate(position);
    record.ids.resize(in_prompt ? 0 : static_cast<std::size_t>(position) + 1);
    if (o_.logits) record.nll.resize(static_cast<std::size_t>(position));
    out_.restored = position;
  }

  std::span<const float> prefill() {
    model::Decoder::OnLogits on_logits;
    if (o_.logits)
      on_logits = [&](std::int64_t pos, MatView<const float> logits) {
        for (std::size_t i = 0; i < logits.rows; ++i) {
          const std::size_t next = static_cast<std::size_t>(pos) + i + 1;
          if (next < r_.prompt.size()) keep_nll({logits.row(i), logits.cols}, r_.prompt[next]);
        }
      };
    progress_.emplace("prefill", r_.prompt.size(), "tokens");
    const auto rest = std::span(r_.prompt).subspan(static_cast<std::size_t>(decoder_.position()));
    const auto logits = decoder_.prefill(rest, on_logits, [&](std::int64_t) {
      if (decoder_.position() < r_.info.n_prefill) save_state();
      return true;
    });
    // First the snapshot: a run that resumes after the prompt has no logits of its last token.
    if (queries_)
      model::write_kv_snapshot(o_.kv_out, o_.force, source(), cache_, model::sample(logits, {}, 0),
                               &queries_->sample());
    save_state();
    return logits;
  }

  model::KvSource source() const { return {r_.info.model_sha256, r_.model.config, r_.prompt}; }

  // True on resume if the earlier run had written it; throws if it is of something else.
  bool snapshot_is_there() const {
    if (!o_.resume || !std::filesystem::exists(o_.kv_out)) return false;
    const model::KvSnapshot snapshot(o_.kv_out);
    snapshot.check_source(source(), cache_.shape().type);
    if (snapshot.n_tokens() == r_.info.n_prefill) return true;
    fail(Exit::kCannotCreate, {.what = "cannot create",
                               .file = o_.kv_out,
                               .where = "n_tokens",
                               .why = fmt::format("is a snapshot of {} tokens, not of {}",
                                                  snapshot.n_tokens(), r_.info.n_prefill),
                               .hint = "remove it or choose another name"});
  }

  void keep_nll(std::span<const float> logits, std::int32_t id) {
    if (o_.logits) out_.record.nll.push_back(static_cast<float>(model::nll(logits, id)));
  }

  void after_layer(const model::QkvView& view) {
    if (queries_) queries_->on_qkv(view);
    if (interrupted()) throw Interrupted{};
    if (view.pos >= r_.info.n_prefill) return;
    const std::uint64_t rows = view.q.rows, layers = static_cast<std::uint64_t>(r_.info.n_layers);
    progress_->update(static_cast<std::uint64_t>(view.pos) +
                      rows * (static_cast<std::uint64_t>(view.layer) + 1) / layers);
  }

  const DumpOptions& o_;
  const Request& r_;
  store::DumpWriter& writer_;
  model::SamplerOptions sampler_;
  model::KvCache cache_;
  model::CpuBackend backend_;
  model::ExactAttention attention_;
  model::Decoder decoder_;
  model::RunState state_;
  DumpSink sink_;
  std::optional<attention::TrainQueries> queries_;  // for a snapshot that is still to be written
  Outcome out_;
  std::optional<Progress> progress_;
};

// The command line that goes on where this one was interrupted.
std::string resume_command() {
  std::string line = cli::command_line();
  if (const auto at = line.find(" --force"); at != std::string::npos) line.erase(at, 8);
  return line.find(" --resume") == std::string::npos ? line + " --resume" : line;
}

[[noreturn]] void stop(const DumpOptions& o, const Request& r, store::DumpWriter& writer,
                       Run& run) {
  writer.suspend();
  run.save_state();
  fail(Exit::kInterrupted,
       {.what = "interrupted",
        .file = o.out,
        .where = signal_name(caught_signal()),
        .why = fmt::format("{} of {} tokens are kept", writer.resume_position(), r.info.n_tokens),
        .hint = "go on with: " + resume_command()});
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
  const std::int64_t before = outcome.restored;
  if (before > 0) fmt::print("{} tokens taken from the interrupted run, ", before);
  if (before < info.n_prefill)
    fmt::print("{}, ", pace("prefill", info.n_prefill - before, outcome.prefill_s));
  if (o.generate > 0)
    fmt::print("{}, ",
               pace("decode", info.n_tokens - std::max(before, info.n_prefill), outcome.decode_s));
  fmt::print("{:.2f} s in all\n", total_s);
  if (!o.kv_out.empty()) {
    const auto kv_bytes = static_cast<double>(std::filesystem::file_size(o.kv_out, ignored));
    fmt::print("{}: KV cache of {} tokens, {}\n", escaped(o.kv_out), info.n_prefill,
               size_text(kv_bytes));
  }
  if (o.generate == 0 || r.tokenizer == nullptr) return;
  const auto generated = std::span(outcome.record.ids).subspan(r.prompt.size());
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
  std::unique_ptr<OutputLock> kv_lock;
  if (!o.kv_out.empty()) kv_lock = claim_output(o.kv_out, o.force || o.resume, plan.snapshot_bytes);
  const auto writer = store::DumpWriter::create(r.info, plan.writer);
  if (writer->complete()) {
    if (!common.quiet) fmt::print("{}: is complete already\n", escaped(o.out));
    return 0;
  }
  Run run(o, common, r, plan, *writer);
  const Outcome* outcome = nullptr;
  try {
    outcome = &run();
  } catch (const Interrupted&) {
    stop(o, r, *writer, run);
  }
  r.file->check_unchanged();
  writer->finish(outcome->record.ids, outcome->record.nll, outcome->logits_last);
  if (!common.quiet) print_summary(o, r, *outcome, seconds_since(start));
  return 0;
}

}  // namespace ra::dump_app
