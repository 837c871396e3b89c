// SPDX-License-Identifier: Apache-2.0
#include "apps/recall/evaluate.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <limits>
#include <memory>

#include "lib/core/error.h"
#include "lib/core/parallel.h"
#include "lib/index/top_k.h"
#include "lib/stats/bootstrap.h"
#include "lib/stats/quantiles.h"
#include "lib/stats/recall.h"

namespace ra::recall {
namespace {

constexpr std::size_t kWarmUp = 16;  // positions: fills caches and grows the scratch
constexpr std::size_t kParts = 10;   // of the range of keys, and of the test queries in order

using Ids = std::vector<std::vector<std::uint32_t>>;  // [m] at most k each, or a shortlist

// What calls returned and cost; a call serves every head once.
struct Answers {
  std::vector<Ids> ids;                  // [heads]
  std::vector<double> us;                // [m] of a call; empty: not timed
  std::vector<index::SearchStats> work;  // [m] of a call
};

// Query i of every head.
Matrix<float> position(std::span<const Judged> heads, std::size_t i) {
  Matrix<float> rows(heads.size(), heads[0].head.queries.cols);
  for (std::size_t h = 0; h < heads.size(); ++h)
    std::copy_n(heads[h].head.queries.row(i), rows.cols(), rows.row(h));
  return rows;
}

// The answer of one head without the self-match of a key used as a query.
std::vector<std::uint32_t> ids_of(const std::vector<index::Hit>& hits, const Judged& judged,
                                  std::size_t i, int k) {
  std::vector<std::uint32_t> ids;
  for (const index::Hit& hit : hits) {
    RA_CHECK(hit.id < judged.head.keys.rows);
    if (!judged.self.empty() && hit.id == judged.self[i]) continue;
    if (ids.size() < static_cast<std::size_t>(k)) ids.push_back(hit.id);
  }
  return ids;
}

Answers search_all(const index::VectorIndex& index, index::SearchParams params,
                   std::span<const Judged> heads, const EvaluateOptions& o) {
  const std::size_t m = heads[0].head.queries.rows;
  for (const Judged& j : heads) RA_CHECK(j.head.queries.rows == m);
  // A key used as a query finds itself: one more hit is asked for.
  const int k = params.k;
  const bool self = !heads[0].self.empty();
  if (self) ++params.k;
  params.ranked = self;  // attention has no use for an order
  Answers a;
  a.ids.assign(heads.size(), Ids(m));
  a.work.resize(m);
  if (o.timed) a.us.resize(m);
  struct Worker {
    std::unique_ptr<index::SearchScratch> scratch;
    std::vector<std::vector<index::Hit>> hits;
    index::Shortlist list;
  };
  const bool in_order = o.timed || index.sequential();
  std::vector<Worker> workers(in_order ? 1 : static_cast<std::size_t>(threads()));
  std::vector<std::uint32_t> sets;
  for (const Judged& j : heads) sets.push_back(j.train_set);
  params.heads = sets;
  const auto call = [&](std::size_t i, Worker& w) {
    if (!w.scratch) w.scratch = index.make_scratch();
    w.hits.resize(heads.size());
    const Matrix<float> rows = position(heads, i);
    const auto start = std::chrono::steady_clock::now();
    a.work[i] = o.together ? index.shortlist(rows.view(), params, *w.scratch, w.list)
                           : index.search(rows.view(), params, *w.scratch, w.hits);
    const std::chrono::duration<double, std::micro> us = std::chrono::steady_clock::now() - start;
    if (o.timed) a.us[i] = us.count();
    if (o.together)
      for (const std::uint32_t id : w.list.ids) RA_CHECK(id < heads[0].head.keys.rows);
    for (std::size_t h = 0; h < heads.size(); ++h)
      a.ids[h][i] = o.together ? w.list.ids : ids_of(w.hits[h], heads[h], i, k);
  };
  if (o.timed) {
    for (std::size_t i = 0; i < std::min(m, kWarmUp); ++i) call(i, workers[0]);
    workers[0].scratch = index.make_scratch();
  }
  if (in_order) {
    for (std::size_t i = 0; i < m; ++i) call(i, workers[0]);
  } else {
    parallel_for(m, [&](std::size_t i, int t) { call(i, workers[static_cast<std::size_t>(t)]); });
  }
  return a;
}

struct Quality {
  std::vector<stats::Recall> recall;       // [m]
  std::vector<stats::AttentionLoss> loss;  // [m], empty without attention
  std::array<std::int64_t, kParts> found{},
      exact{};  // of the exact top k, by part of the key range
};

Quality judge(const Ids& answers, const Judged& j) {
  const std::size_t m = answers.size(), n = j.head.keys.rows;
  Quality q;
  q.recall.resize(m);
  if (!j.exact_loss.empty()) q.loss.resize(m);
  parallel_for(m, [&](std::size_t i, int) {
    // Scores are computed again: a wrong one of the index must not count.
    std::vector<index::Hit> hits;
    for (const std::uint32_t id : answers[i])
      hits.push_back(
          {id, stats::exact_dot(j.head.queries.row(i), j.head.keys.row(id), j.head.keys.cols)});
    // Best first: the recall of a shortlist is that of its first k.
    if (hits.size() > j.exact.top_ids(i).size()) std::ranges::sort(hits, index::better);
    std::vector<std::uint32_t> ids;
    std::vector<float> scores;
    for (const index::Hit& hit : hits) {
      ids.push_back(hit.id);
      scores.push_back(hit.score);
    }
    q.recall[i] = stats::recall_at_k(
        ids, scores, {j.exact.top_ids(i), j.exact.top_scores(i), j.exact.max_abs[i]});
    if (!q.loss.empty()) q.loss[i] = stats::attention_loss(j.head, j.exact, i, ids, scores);
  });
  for (std::size_t i = 0; i < m; ++i) {
    std::vector<std::uint32_t> sorted = answers[i];
    std::sort(sorted.begin(), sorted.end());
    for (const std::uint32_t id : j.exact.top_ids(i)) {
      const std::size_t part = id * kParts / n;
      ++q.exact[part];
      q.found[part] += std::binary_search(sorted.begin(), sorted.end(), id);
    }
  }
  return q;
}

template <class T>
std::vector<double> column(std::span<const T> rows, double T::*field) {
  std::vector<double> out;
  for (const T& row : rows) out.push_back(row.*field);
  return out;
}

// Mean recall over each tenth of the queries, in order of position.
Json by_query_part(std::span<const double> recall) {
  Json out = Json::array();
  for (std::size_t part = 0; part < kParts; ++part) {
    const std::size_t first = part * recall.size() / kParts,
                      last = (part + 1) * recall.size() / kParts;
    out.push_back(stats::mean(recall.subspan(first, last - first)));
  }
  return out;
}

void add_quality(const Quality& q, const Judged& j, const EvaluateOptions& o, bench::Result& r) {
  using stats::AttentionLoss;
  const std::vector<double> id = column<stats::Recall>(q.recall, &stats::Recall::id);
  const auto worst = std::min_element(id.begin(), id.end());
  r.metrics["recall_id"] = stats::mean(id);
  r.metrics["recall_tie"] = stats::mean(column<stats::Recall>(q.recall, &stats::Recall::tie));
  r.metrics["recall_id_p05"] = stats::quantile(id, 0.05);
  r.metrics["recall_id_min"] = *worst;
  r.metrics["worst_query"] = worst - id.begin();
  r.metrics["robust_90_frac"] =
      static_cast<double>(std::count_if(id.begin(), id.end(), [](double v) { return v >= 0.9; })) /
      static_cast<double>(id.size());
  const auto attention = [&](const char* name, std::span<const AttentionLoss> losses,
                             double AttentionLoss::*field) {
    r.metrics[name] = losses.empty() ? std::numeric_limits<double>::quiet_NaN()
                                     : stats::mean(column<AttentionLoss>(losses, field));
  };
  attention("mass_k_frac", q.loss, &AttentionLoss::mass_k);
  attention("mass_all_frac", q.loss, &AttentionLoss::mass_all);
  attention("mass_ratio", q.loss, &AttentionLoss::mass_ratio);
  attention("output_rel_l2", q.loss, &AttentionLoss::output_rel_l2);
  attention("output_cosine", q.loss, &AttentionLoss::output_cosine);
  attention("exact_mass_k_frac", j.exact_loss, &AttentionLoss::mass_k);
  attention("exact_mass_all_frac", j.exact_loss, &AttentionLoss::mass_all);
  attention("exact_output_rel_l2", j.exact_loss, &AttentionLoss::output_rel_l2);
  attention("exact_output_cosine", j.exact_loss, &AttentionLoss::output_cosine);
  r.extra["by_key_decile"] = {{"found", q.found}, {"exact", q.exact}};
  if (id.size() >= kParts) r.extra["recall_by_query_decile"] = by_query_part(id);
  r.ci95["recall_id"] = stats::bootstrap_mean_ci(id, {.resamples = 1000, .seed = o.seed});
  r.samples["recall_id"] = {id};
  if (q.loss.empty())
    r.status_detail = "attention mass and output have no meaning for these queries";
}

// Three decimals: a nanosecond of a microsecond.
double rounded(double x) { return std::round(x * 1000) / 1000; }

// Shares of one head in the calls.
void add_work(const Answers& a, std::size_t n_keys, bench::Result& r) {
  const auto heads = static_cast<double>(a.ids.size()), m = static_cast<double>(a.work.size());
  index::SearchStats total;
  std::vector<double> scanned, us;
  for (const index::SearchStats& s : a.work) {
    total += s;
    scanned.push_back(static_cast<double>(s.distances) / heads / static_cast<double>(n_keys));
  }
  for (const double t : a.us) us.push_back(rounded(t / heads));
  r.metrics["scanned_frac"] = stats::mean(scanned);
  r.metrics["scanned_p95_frac"] = stats::quantile(scanned, 0.95);
  // The median of a call, but the rate of all of them: a preempted call slows the rate only.
  const double none = std::numeric_limits<double>::quiet_NaN();
  r.metrics["query_us"] = us.empty() ? none : stats::quantile(us, 0.5);
  r.metrics["queries_per_s"] = us.empty() ? none : 1e6 * heads / stats::mean(a.us);
  r.metrics["work_distances"] = static_cast<double>(total.distances) / m / heads;
  r.metrics["work_coded"] = static_cast<double>(total.coded) / m / heads;
  r.metrics["work_bytes"] = static_cast<double>(total.bytes) / m / heads;
  r.metrics["work_hops"] = static_cast<double>(total.hops) / m / heads;
  if (us.empty()) {
    r.status_detail += r.status_detail.empty() ? "" : "; ";
    r.status_detail += "the queries ran side by side and were not timed";
  } else {
    r.samples["query_us"] = {std::move(us)};
  }
}

}  // namespace

std::vector<bench::Result> evaluate(const index::VectorIndex& index,
                                    const index::SearchParams& params,
                                    std::span<const Judged> heads, const EvaluateOptions& o) {
  const Answers a = search_all(index, params, heads, o);
  std::vector<bench::Result> results;
  for (std::size_t h = 0; h < heads.size(); ++h) {
    bench::Result r;
    r.kind = "recall";
    add_quality(judge(a.ids[h], heads[h]), heads[h], o, r);
    double keys = 0;
    for (const auto& ids : a.ids[h]) keys += static_cast<double>(ids.size());
    r.metrics["attended_mean"] = keys / static_cast<double>(a.ids[h].size());
    add_work(a, heads[h].head.keys.rows, r);
    results.push_back(std::move(r));
  }
  return results;
}

std::vector<stats::AttentionLoss> losses_of_exact(const stats::HeadData& head,
                                                  const stats::ExactReference& exact) {
  std::vector<stats::AttentionLoss> out(head.queries.rows);
  parallel_for(out.size(), [&](std::size_t i, int) {
    out[i] = stats::attention_loss(head, exact, i, exact.top_ids(i), exact.top_scores(i));
  });
  return out;
}

}  // namespace ra::recall
