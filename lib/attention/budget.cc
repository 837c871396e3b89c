// SPDX-License-Identifier: Apache-2.0
#include "lib/attention/budget.h"

#include <algorithm>
#include <cmath>
#include <queue>
#include <tuple>

#include "lib/core/error.h"
#include "lib/index/best_hits.h"

namespace ra::attention {
namespace {

std::size_t size(auto n) { return static_cast<std::size_t>(n); }

// Logits of a query for the keys at positions [0, count).
void score_keys(const kernels::KvRows& kv, const float* query, std::size_t count, float scale,
                std::vector<float>& out) {
  out.resize(count);
  model::score_keys(kv, query, out);
  for (float& score : out) score *= scale;
}

}  // namespace

std::vector<int> budget_steps(int k) {
  std::vector<int> steps;
  for (int i = -8; i <= 8; ++i) {
    const int step = std::max(1, static_cast<int>(std::lround(k * std::exp2(i / 4.0))));
    if (steps.empty() || step > steps.back()) steps.push_back(step);
  }
  return steps;
}

std::vector<double> mass_curve(const kernels::KvRows& kv, const PlacedQueries& queries,
                               const BudgetScope& scope, std::span<const int> steps) {
  RA_CHECK(!queries.positions.empty() && queries.rows.rows() == queries.positions.size());
  std::vector<double> curve(steps.size());
  std::vector<float> logits;
  index::CutScratch scratch;
  for (std::size_t q = 0; q < queries.positions.size(); ++q) {
    const std::int64_t after = queries.positions[q] + 1;
    score_keys(kv, queries.rows.row(q), size(after), scope.scale, logits);
    const float top = *std::max_element(logits.begin(), logits.end());
    for (float& logit : logits) logit = std::exp(logit - top);
    double all = 0;
    for (const float weight : logits) all += static_cast<double>(weight);
    const std::int64_t first = std::min(scope.sink, after),
                       last = std::max(first, queries.positions[q] - scope.window);
    const auto rivals = std::span<const float>(logits).subspan(size(first), size(last - first));
    double held = all;
    for (const float weight : rivals) held -= static_cast<double>(weight);
    std::vector<float> best;
    for (const std::uint32_t i : index::cut(rivals, size(steps.back()), scratch))
      best.push_back(rivals[i]);
    std::sort(best.begin(), best.end(), std::greater<>());
    std::size_t taken = 0;
    for (std::size_t i = 0; i < steps.size(); ++i) {
      for (; taken < std::min(best.size(), size(steps[i])); ++taken)
        held += static_cast<double>(best[taken]);
      curve[i] += held / all / static_cast<double>(queries.positions.size());
    }
  }
  return curve;
}

std::vector<int> share_budget(const std::vector<std::vector<double>>& curves,
                              std::span<const int> steps, int k) {
  struct Next {
    double gain;  // of mass for each key
    std::size_t head, step;
    bool operator<(const Next& o) const {  // ties go to the first head
      return std::tuple(gain, o.head) < std::tuple(o.gain, head);
    }
  };
  const auto next = [&](std::size_t head, std::size_t step) {
    return Next{(curves[head][step] - curves[head][step - 1]) / (steps[step] - steps[step - 1]),
                head, step};
  };
  std::vector<int> shares(curves.size(), steps.front());
  std::int64_t left = (static_cast<std::int64_t>(k) - steps.front()) * std::ssize(curves);
  std::priority_queue<Next> queue;
  for (std::size_t head = 0; head < curves.size() && steps.size() > 1; ++head)
    queue.push(next(head, 1));
  while (!queue.empty()) {
    const Next take = queue.top();
    queue.pop();
    const int keys = steps[take.step] - steps[take.step - 1];
    if (keys > left) continue;
    left -= keys;
    shares[take.head] = steps[take.step];
    if (take.step + 1 < steps.size()) queue.push(next(take.head, take.step + 1));
  }
  return shares;
}

}  // namespace ra::attention
