// SPDX-License-Identifier: Apache-2.0
#include "apps/recall/evaluate.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>

#include "lib/core/error.h"
#include "lib/core/parallel.h"
#include "lib/stats/attention_mass.h"
#include "lib/stats/bootstrap.h"
#include "lib/stats/quantiles.h"
#include "lib/stats/recall.h"

namespace ra::recall {
namespace {

constexpr std::size_t kWarmUp = 16;  // queries: fills caches and grows the scratch

struct Answers {
  std::vector<std::vector<std::uint32_t>> ids;  // [m] at most k each
  std::vector<double> us;                       // [m]
  index::SearchStats work;                      // over all queries
  std::vector<double> scanned;                  // [m] share of n
};

Answers search_all(const index::VectorIndex& index, index::SearchParams params,
                   const Evaluation& e) {
  const std::size_t m = e.head.queries.rows;
  const auto scratch = index.make_scratch();
  std::vector<std::vector<index::Hit>> hits(1);
  // A key used as a query finds itself: one more hit is asked for and the self-match dropped.
  const int k = params.k;
  if (!e.self.empty()) ++params.k;
  for (std::size_t i = 0; i < std::min(m, kWarmUp); ++i)
    index.search(e.head.queries.row_range(i, 1), params, *scratch, hits);
  Answers a;
  a.ids.resize(m);
  for (std::size_t i = 0; i < m; ++i) {
    const auto start = std::chrono::steady_clock::now();
    const index::SearchStats s =
        index.search(e.head.queries.row_range(i, 1), params, *scratch, hits);
    const std::chrono::duration<double, std::micro> us = std::chrono::steady_clock::now() - start;
    a.us.push_back(us.count());
    a.work += s;
    a.scanned.push_back(static_cast<double>(s.distances) / static_cast<double>(e.head.keys.rows));
    for (const index::Hit& hit : hits[0]) {
      RA_CHECK(hit.id < e.head.keys.rows);
      if (!e.self.empty() && hit.id == e.self[i]) continue;
      if (a.ids[i].size() < static_cast<std::size_t>(k)) a.ids[i].push_back(hit.id);
    }
  }
  return a;
}

struct Quality {
  std::vector<double> id, tie, mass_k, mass_all, ratio, rel_l2, cosine;
  explicit Quality(std::size_t m)
      : id(m), tie(m), mass_k(m), mass_all(m), ratio(m), rel_l2(m), cosine(m) {}
};

Quality judge(const Answers& a, const Evaluation& e) {
  const std::size_t m = a.ids.size();
  Quality q(m);
  parallel_for(m, [&](std::size_t i, int) {
    std::vector<std::uint32_t> ids = a.ids[i];
    std::vector<float> scores;  // computed again: a wrong score of the index must not count
    for (const std::uint32_t id : ids)
      scores.push_back(
          stats::exact_dot(e.head.queries.row(i), e.head.keys.row(id), e.head.keys.cols));
    const stats::Recall r = stats::recall_at_k(
        ids, scores, {e.exact.top_ids(i), e.exact.top_scores(i), e.exact.max_abs[i]});
    q.id[i] = r.id;
    q.tie[i] = r.tie;
    if (!e.attention) return;
    const stats::AttentionLoss loss = stats::attention_loss(e.head, e.exact, i, ids, scores);
    q.mass_k[i] = loss.mass_k;
    q.mass_all[i] = loss.mass_all;
    q.ratio[i] = loss.mass_ratio;
    q.rel_l2[i] = loss.output_rel_l2;
    q.cosine[i] = loss.output_cosine;
  });
  return q;
}

// Three decimals: a nanosecond of a microsecond.
double rounded(double x) { return std::round(x * 1000) / 1000; }

}  // namespace

bench::Result evaluate(const index::VectorIndex& index, const index::SearchParams& params,
                       const Evaluation& e) {
  const Answers a = search_all(index, params, e);
  const Quality q = judge(a, e);
  const auto m = static_cast<double>(a.ids.size());
  const auto attention = [&](const std::vector<double>& x) {
    return e.attention ? stats::mean(x) : std::numeric_limits<double>::quiet_NaN();
  };
  bench::Result r;
  r.kind = "recall";
  r.metrics["recall_id"] = stats::mean(q.id);
  r.metrics["recall_tie"] = stats::mean(q.tie);
  r.metrics["recall_id_p05"] = stats::quantile(q.id, 0.05);
  r.metrics["mass_k_frac"] = attention(q.mass_k);
  r.metrics["mass_all_frac"] = attention(q.mass_all);
  r.metrics["mass_ratio"] = attention(q.ratio);
  r.metrics["robust_90_frac"] = static_cast<double>(std::count_if(
                                    q.id.begin(), q.id.end(), [](double v) { return v >= 0.9; })) /
                                m;
  r.metrics["output_rel_l2"] = attention(q.rel_l2);
  r.metrics["output_cosine"] = attention(q.cosine);
  r.metrics["scanned_frac"] = stats::mean(a.scanned);
  r.metrics["scanned_p95_frac"] = stats::quantile(a.scanned, 0.95);
  // The median of a call, but the rate of all of them: a preempted call slows the rate only.
  r.metrics["query_us"] = stats::quantile(a.us, 0.5);
  r.metrics["queries_per_s"] = 1e6 / stats::mean(a.us);
  r.metrics["work_distances"] = static_cast<double>(a.work.distances) / m;
  r.metrics["work_coded"] = static_cast<double>(a.work.coded) / m;
  r.metrics["work_bytes"] = static_cast<double>(a.work.bytes) / m;
  r.metrics["work_hops"] = static_cast<double>(a.work.hops) / m;
  r.samples["recall_id"] = {q.id};
  std::vector<double> times;
  for (const double t : a.us) times.push_back(rounded(t));
  r.samples["query_us"] = {std::move(times)};
  r.ci95["recall_id"] = stats::bootstrap_mean_ci(q.id, {.resamples = 1000, .seed = e.seed});
  if (!e.attention) r.status_detail = "attention mass and output have no meaning for these queries";
  return r;
}

}  // namespace ra::recall
