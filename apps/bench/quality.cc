// SPDX-License-Identifier: Apache-2.0
// ra-bench quality: what a mode's answers are worth beside those of full attention on the same
// prompt: the losses of the tokens that follow it, and facts found in it.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>

#include "apps/bench/failure_list.h"
#include "apps/bench/memory_plan.h"
#include "apps/bench/mode_policy.h"
#include "apps/bench/model_context.h"
#include "apps/bench/needle_prompt.h"
#include "apps/bench/options.h"
#include "apps/bench/quality_table.h"
#include "lib/bench/results.h"
#include "lib/bench/roofline.h"
#include "lib/core/clock.h"
#include "lib/core/error.h"
#include "lib/core/memory.h"
#include "lib/core/progress.h"
#include "lib/model/kv_tail.h"
#include "lib/model/load.h"
#include "lib/model/sampler.h"
#include "lib/stats/bootstrap.h"
#include "lib/stats/divergence.h"
#include "lib/stats/proportion.h"
#include "lib/stats/quantiles.h"

namespace ra::bench_app {
namespace {

using Clock = std::chrono::steady_clock;

// Modes take turns every so many tokens, so that only this many rows of full attention's logits are
// kept.
constexpr std::int64_t kScoreBlock = 64;

// What is run after a prompt of a context, and the positions it takes.
struct Trial {
  std::int64_t context = 0, prompt = 0;
  std::vector<std::int32_t> ids;            // the prompt and the text behind it
  std::vector<std::int64_t> needle_starts;  // positions
};

struct Answer {
  std::string text;
  std::vector<bool> found;  // per value
  double share() const {
    return static_cast<double>(std::ranges::count(found, true)) / static_cast<double>(found.size());
  }
};

// One mode over one context.
struct Judged {
  ModePolicy built;
  model::KvTail tail;  // of the tokens scored so far
  std::vector<double> nll, kld, same_top1, step_ms;
  model::AttendStats attend;  // sums over all steps
  std::vector<Answer> answers;
};

bool is_wanted(const std::vector<ModeRun>& wanted, const ModeRun& run) {
  return std::ranges::any_of(wanted, [&](const ModeRun& r) { return r.mode == run.mode; });
}

// What the configuration of a record has that only quality knows.
Json own_config(const QualityOptions& o, const NeedlePrompt* needles, std::int64_t context) {
  const bool asked = needles != nullptr;
  const Json none = nullptr;
  return {{"context", context},
          {"n_scored", o.n_score},
          {"needle_count", o.needles},
          {"needle_depths", asked ? Json(o.depths) : none},
          {"needle_tasks", asked ? Json(o.tasks) : none},
          {"chat", asked ? Json(needles->chat()) : none}};
}

class QualityBench {
 public:
  QualityBench(const QualityOptions& o, std::uint64_t seed, const Trial& trial,
               const NeedlePrompt* needles, const tokenizer::Tokenizer* tokenizer,
               ModelContext& context)
      : o_(o),
        seed_(seed),
        trial_(trial),
        needles_(needles),
        tokenizer_(tokenizer),
        context_(context) {}

  // Full attention first, asked for or not: the others are judged by it.
  void build(ModePolicies& policies) {
    for (ModePolicy& built : policies.build()) judged_.push_back({.built = std::move(built)});
  }

  void score() {
    if (o_.n_score == 0) return;
    Progress progress(fmt::format("score after {}", trial_.prompt),
                      static_cast<std::uint64_t>(o_.n_score) * judged_.size(), "tokens");
    std::uint64_t done = 0;
    const auto vocab = static_cast<std::size_t>(context_.input().model.config.vocab_size);
    std::vector<float> full;  // [block, vocab]
    for (std::int64_t first = 0; first < o_.n_score; first += kScoreBlock) {
      const std::int64_t last = std::min<std::int64_t>(first + kScoreBlock, o_.n_score);
      full.clear();
      for (Judged& m : judged_) {
        resume(m);
        for (std::int64_t i = first; i < last; ++i) {
          const auto logits = step(m, token(i));
          if (&m == &judged_.front()) full.insert(full.end(), logits.begin(), logits.end());
          judge(m, std::span<const float>(full).subspan(size(i - first) * vocab, vocab), logits,
                token(i + 1));
          progress.update(++done, std::string(m.built.run.mode->name));
        }
        m.tail.keep(context_.cache(), trial_.prompt);
      }
    }
  }

  void ask() {
    if (needles_ == nullptr) return;
    Progress progress(fmt::format("ask after {}", trial_.prompt),
                      static_cast<std::uint64_t>(needles_->questions().size() * judged_.size()),
                      "questions");
    std::uint64_t done = 0;
    for (const AskedQuestion& question : needles_->questions())
      for (Judged& m : judged_) {
        m.answers.push_back(answer(m, question));
        progress.update(++done, std::string(m.built.run.mode->name));
      }
  }

  void write(const std::vector<ModeRun>& wanted, bench::ResultWriter& out) const {
    for (const Judged& m : judged_)
      if (is_wanted(wanted, m.built.run)) out.write(result(m));
  }

 private:
  static std::size_t size(std::int64_t n) { return static_cast<std::size_t>(n); }
  std::int32_t token(std::int64_t i) const { return trial_.ids[size(trial_.prompt + i)]; }

  // The cache as this mode left it.
  void resume(Judged& m) {
    context_.decoder().set_attention(*m.built.policy);
    context_.rewind();
    m.tail.put_back(context_.cache());
  }

  std::span<const float> step(Judged& m, std::int32_t id) {
    model::StepTimes times;
    const auto start = Clock::now();
    const auto logits = context_.decoder().step(id, &times);
    m.step_ms.push_back(ms_since(start));
    m.attend += times.attend;
    return logits;
  }

  static void judge(Judged& m, std::span<const float> full, std::span<const float> logits,
                    std::int32_t next) {
    m.nll.push_back(model::nll(logits, next));
    m.kld.push_back(stats::kl_divergence(full, logits));
    m.same_top1.push_back(model::sample(full, {}, 0) == model::sample(logits, {}, 0) ? 1.0 : 0.0);
  }

  // Greedily, from the prompt on.
  Answer answer(Judged& m, const AskedQuestion& asked) {
    context_.decoder().set_attention(*m.built.policy);
    context_.rewind();
    std::span<const float> logits;
    for (const std::int32_t id : asked.ids) logits = step(m, id);
    Answer out;
    for (int n = 1;; ++n) {
      const std::int32_t id = model::sample(logits, {}, 0);
      if (needles_->ends_answer(id)) break;
      out.text += tokenizer_->token_bytes(id);
      if (n == asked.answer_limit || bench::is_decided(asked.question, out.text)) break;
      logits = step(m, id);
    }
    out.found = bench::values_found(asked.question, out.text);
    return out;
  }

  bench::Result result(const Judged& m) const;
  void add_scores(const Judged& m, bench::Result& r) const;
  void add_answers(const Judged& m, bench::Result& r) const;

  const QualityOptions& o_;
  std::uint64_t seed_;
  const Trial& trial_;
  const NeedlePrompt* needles_;  // null: nothing is hidden
  const tokenizer::Tokenizer* tokenizer_;
  ModelContext& context_;
  std::vector<Judged> judged_;
};

// Neighbouring tokens are alike in difficulty, so intervals resample whole stretches of them: up to
// 32 tokens, so that at least 16 remain.
std::size_t bootstrap_block(std::size_t n) { return std::clamp<std::size_t>(n / 16, 1, 32); }

void QualityBench::add_scores(const Judged& m, bench::Result& r) const {
  Json& x = r.metrics;
  const bool scored = !m.nll.empty();
  const auto add = [&](const char* name, const std::vector<double>& series, auto&& statistic) {
    x[name] = scored ? Json(statistic(series)) : Json(nullptr);
    if (!scored) return;
    r.ci95[name] = stats::block_bootstrap_ci(
        series, bootstrap_block(series.size()),
        [&](std::span<const double> v) { return statistic(v); }, {.seed = seed_});
  };
  const auto mean = [](std::span<const double> v) { return stats::mean(v); };
  std::vector<double> delta = m.nll;
  std::ranges::transform(m.nll, judged_.front().nll, delta.begin(), std::minus<>());
  add("nll", m.nll, mean);
  add("nll_delta", delta, mean);
  add("kld_mean", m.kld, mean);
  add("kld_p99", m.kld, [](std::span<const double> v) {
    return stats::quantile({v.begin(), v.end()}, 0.99);
  });
  x["kld_max"] = scored ? Json(*std::ranges::max_element(m.kld)) : Json(nullptr);
  add("same_top1_frac", m.same_top1, mean);
  if (!scored) return;
  r.samples["nll"] = {m.nll};
  r.samples["kld"] = {m.kld};
}

void QualityBench::add_answers(const Judged& m, bench::Result& r) const {
  if (needles_ == nullptr) {
    r.metrics["needle_frac"] = nullptr;
    return;
  }
  const auto add = [&](const std::string& name, const std::vector<double>& shares) {
    r.metrics[name] = stats::mean(shares);
    r.ci95[name] = stats::wilson_ci95(stats::mean(shares), shares.size());
  };
  std::vector<double> all;
  std::map<std::string, std::vector<double>> by_task;
  std::vector<std::vector<double>> by_depth(o_.depths.size());
  Json questions = Json::array();
  for (std::size_t i = 0; i < m.answers.size(); ++i) {
    const bench::NeedleQuestion& q = needles_->questions()[i].question;
    const Answer& answer = m.answers[i];
    all.push_back(answer.share());
    by_task[q.task].push_back(answer.share());
    Json values = Json::array();
    for (std::size_t v = 0; v < q.values.size(); ++v) {
      const auto depth = std::ranges::find(o_.depths, q.values[v].depth) - o_.depths.begin();
      by_depth[static_cast<std::size_t>(depth)].push_back(answer.found[v] ? 1 : 0);
      values.push_back({{"value", q.values[v].text},
                        {"depth", q.values[v].depth},
                        {"found", static_cast<bool>(answer.found[v])}});
    }
    questions.push_back({{"task", q.task},
                         {"question", q.question},
                         {"answer", q.answer_start + answer.text},
                         {"values", std::move(values)}});
  }
  add("needle_frac", all);
  for (const auto& [task, shares] : by_task) add(fmt::format("needle_{}_frac", task), shares);
  r.samples["needle_found"] = std::move(by_depth);
  r.extra["questions"] = std::move(questions);
  r.extra["needle_positions"] = trial_.needle_starts;
}

bench::Result QualityBench::result(const Judged& m) const {
  bench::Result r;
  r.kind = "quality";
  const Json none = nullptr;
  r.config = model_config(o_.model, o_.sparse, context_.input(), &context_, m.built.run, seed_,
                          own_config(o_, needles_, trial_.context));
  const auto& prefill = context_.prefill_run();
  if (!prefill) r.status_detail = "keys and values of the prompt come from a snapshot";
  add_scores(m, r);
  add_answers(m, r);
  Json& x = r.metrics;
  const double steps = static_cast<double>(m.step_ms.size());
  const attention::SparseAttention* sparse = m.built.sparse;
  x["decode_ms"] = stats::quantile(m.step_ms, 0.5);
  x["prefill_ms"] = prefill ? Json(prefill->ms) : none;
  x["build_ms"] = sparse != nullptr ? sparse->totals().build_ms : 0.0;
  x["index_bytes"] = sparse != nullptr ? sparse->totals().bytes : 0;
  x["kv_bytes"] = model::KvCache::bytes(context_.cache().shape());
  x["peak_rss_bytes"] = peak_rss_bytes();
  x["scanned_frac"] = scanned_frac(m.built.run, m.attend);
  x["attended_mean"] = attended_mean(context_, m.attend, steps);
  x["work_distances"] = static_cast<double>(m.attend.distances) / steps;
  x["work_bytes"] = static_cast<double>(m.attend.bytes) / steps;
  x["work_hops"] = static_cast<double>(m.attend.hops) / steps;
  r.samples["decode_ms"] = {m.step_ms};
  return r;
}

// The prompt of each context and what follows it, before anything is run.
std::vector<Trial> make_trials(const QualityOptions& o, const ModelInput& in,
                               const std::vector<std::int64_t>& contexts,
                               const NeedlePrompt* needles) {
  const std::int64_t room =
      std::max<std::int64_t>(o.n_score, needles != nullptr ? needles->room() : 0);
  std::vector<Trial> trials;
  for (const std::int64_t context : contexts) {
    Trial t{.context = context, .prompt = context - room};
    if (t.prompt < 1)
      fail_usage("-c", fmt::format("{} leaves no prompt before {} tokens of text and questions",
                                   context, room));
    if (needles == nullptr) {
      t.ids = in.ids;
    } else {
      NeedlePrompt::Context c = needles->context(in.ids, t.prompt);
      t.ids = std::move(c.ids);
      t.needle_starts = std::move(c.positions);
    }
    trials.push_back(std::move(t));
  }
  return trials;
}

// Full attention in front, once.
std::vector<ModeRun> with_full_first(const QualityOptions& o, std::vector<ModeRun> runs) {
  const auto dense = [](const ModeRun& r) { return r.mode->dense; };
  const auto full = std::ranges::find_if(runs, dense);
  if (full != runs.end()) {
    std::rotate(runs.begin(), full, full + 1);
    return runs;
  }
  SparseModeOptions only_full = o.sparse;
  only_full.modes = {"full"};
  only_full.index.clear();
  only_full.share = 0;
  std::vector<ModeRun> out = mode_runs(only_full);
  out.insert(out.end(), runs.begin(), runs.end());
  return out;
}

}  // namespace

int run_quality(const QualityOptions& given, const cli::CommonOptions& common) {
  QualityOptions o = given;
  std::ranges::sort(o.depths);
  o.depths.erase(std::unique(o.depths.begin(), o.depths.end()), o.depths.end());
  if (o.n_score == 0 && o.needles == 0)
    fail_usage("--n-score", "nothing to do", "score tokens with --n-score or ask with --needle");
  const std::vector<ModeRun> wanted = mode_runs(o.sparse, o.model.on_cpu());
  const std::vector<ModeRun> runs = with_full_first(o, wanted);
  const std::vector<std::int64_t> contexts = parse_contexts(o.model.contexts);
  std::optional<bench::NeedleSet> set;
  if (o.needles > 0) set = bench::make_needles(o.tasks, o.needles, o.depths, common.seed);
  cli::check(o.model.rope);
  const std::uint64_t limit = memory_limit(common.memory_limit);

  // The last token that is run predicts one more.
  const ModelInput in =
      read_model_input(o.model, common, contexts.back(), contexts.back() + (o.n_score > 0 ? 1 : 0));
  std::unique_ptr<tokenizer::Tokenizer> tokenizer;
  std::optional<NeedlePrompt> needles;
  if (set) {
    tokenizer = tokenizer::Tokenizer::create(model::load_vocab(*in.file));
    const bool can_chat = has_chat_tokens(tokenizer->vocab());
    if (o.chat == "on" && !can_chat)
      fail_bad_data({.what = "no chat tokens",
                     .file = o.model.model,
                     .where = "tokenizer.ggml.tokens",
                     .why = "the vocabulary lacks <|im_start|> or <|im_end|>",
                     .hint = "--chat off asks in the style of a text to be completed"});
    needles.emplace(*tokenizer, std::move(*set), o.chat == "on" || (o.chat == "auto" && can_chat));
  }
  const NeedlePrompt* hidden = needles ? &*needles : nullptr;
  const std::vector<Trial> trials = make_trials(o, in, contexts, hidden);
  check_k(o.sparse, runs, trials.front().prompt);
  const auto u64 = [](auto n) { return static_cast<std::uint64_t>(n); };
  const MemoryPlan plan(
      o.model, o.sparse, in, limit, /*sequences=*/1,
      {{"logits of full attention", u64(std::min<std::int64_t>(kScoreBlock, o.n_score)) *
                                        u64(in.model.config.vocab_size) * sizeof(float)},
       {"scored tokens of the modes",
        u64(runs.size()) * model::KvTail::bytes(cache_shape(o.model, in, 0), o.n_score)}});
  plan.check(runs, contexts.front());
  const Trial* last = &trials.front();
  for (const Trial& t : trials)
    if (!plan.fitting(runs, t.context).runs.empty()) last = &t;
  const Trial& longest = *last;
  const auto snapshot = open_snapshot(o.model, in, longest.ids, longest.prompt);
  if (snapshot)
    for (const Trial& t : trials)
      snapshot->check_source({in.file->sha256(), in.model.config, t.ids}, kv_type(o.model));
  const auto kv_lock = claim_snapshot(o.model, o.sparse, in, longest.prompt);
  bench::ResultWriter out(
      o.sparse.out,
      {.tool = "ra-bench", .pair = o.sparse.pair, .bandwidth_gb_s = bench::read_bandwidth_gb_s()});
  for (const Trial& trial : trials) {
    const auto [fitting, refused] = plan.fitting(runs, trial.context);
    if (!fitting.empty()) {
      ModelContext context(o.model, o.sparse, in,
                           std::span(trial.ids).first(static_cast<std::size_t>(trial.prompt)),
                           trial.context);
      ModePolicies policies(fitting, context, common.seed);
      if (snapshot)
        context.restore(fitting, *snapshot);
      else
        context.prefill(fitting, &trial == &longest ? o.model.kv_out : "",
                        [&] { policies.build_complete(); });
      QualityBench bench(o, common.seed, trial, hidden, tokenizer.get(), context);
      bench.build(policies);
      bench.score();
      bench.ask();
      bench.write(wanted, out);
    }
    for (const RefusedMode& mode : refused)
      if (is_wanted(wanted, mode.run))
        out.write(skipped_result("quality",
                                 model_config(o.model, o.sparse, in, nullptr, mode.run, common.seed,
                                              own_config(o, hidden, trial.context)),
                                 mode));
  }
  in.file->check_unchanged();
  if (o.sparse.out != "-") {
    print_quality_table(out.records(), o.sparse.format);
    print_failure_signs(out.records(), o.sparse.format);
  }
  return 0;
}

}  // namespace ra::bench_app
