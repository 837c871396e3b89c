// SPDX-License-Identifier: Apache-2.0
#include "apps/recall/selection.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <numeric>
#include <optional>
#include <set>

#include "lib/core/error.h"
#include "lib/core/parallel.h"
#include "lib/core/params.h"
#include "lib/core/rng.h"
#include "lib/core/signals.h"

namespace ra::recall {
namespace {

using store::DumpInfo;

// Streams of random numbers, apart from those of KV heads.
constexpr std::uint64_t kTrainingStream = 0x7a41e, kTestStream = 0x7e57ull << 40;

std::optional<std::int64_t> integer(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

// Sets the range of indexed positions, all of them in the prompt.
void choose_keys(const DumpInfo& info, const std::string& file, const Options& o, Selection& s) {
  if (o.keys.empty()) {
    s.first_key = o.sink;
    s.last_key = info.n_prefill - o.window - 1;
    if (s.first_key > s.last_key)
      fail_bad_data({.what = "too few tokens",
                     .file = file,
                     .where = "n_prefill",
                     .why = fmt::format("{} prompt tokens, --sink {} and --window {} leave no key",
                                        info.n_prefill, o.sink, o.window),
                     .hint = "lower them, or dump a longer text"});
    return;
  }
  const std::size_t dash = o.keys.find('-');
  const auto first = integer(std::string_view(o.keys).substr(0, dash));
  const auto last =
      dash == std::string::npos ? std::nullopt : integer(std::string_view(o.keys).substr(dash + 1));
  if (!first || !last || *first > *last)
    fail_usage("--keys", fmt::format("'{}' is not FIRST-LAST", o.keys), "for example 128-31743");
  if (*last >= info.n_prefill)
    fail_usage("--keys", fmt::format("{} is not a prompt position", *last),
               fmt::format("allowed: 0..{}", info.n_prefill - 1));
  s.first_key = *first;
  s.last_key = *last;
}

// At most `count` of the rows, in order.
std::vector<std::int64_t> draw(const std::vector<std::int64_t>& rows, std::size_t count,
                               std::uint64_t seed) {
  std::vector<std::int64_t> out;
  for (const std::size_t i :
       sample_without_replacement(rows.size(), std::min(count, rows.size()), seed, kTestStream))
    out.push_back(rows[i]);
  return out;
}

void choose_tests(const DumpInfo& info, const std::string& file, const Options& o, Selection& s) {
  std::int64_t first_prompt = s.last_key + 1;
  if (!o.test_queries.empty()) {
    const std::string_view text = o.test_queries;
    const auto count = text.starts_with("last:") ? integer(text.substr(5)) : std::nullopt;
    if (!count) fail_usage("--test-queries", fmt::format("'{}' is not last:N", text));
    first_prompt = std::max<std::int64_t>(info.n_prefill - *count, 0);
    if (first_prompt <= s.last_key)
      fail_usage("--test-queries",
                 fmt::format("the last {} prompt positions begin at {}, indexed keys end at {}",
                             *count, first_prompt, s.last_key),
                 "test queries must come after every indexed key: raise --window or lower N");
  }
  TestRows prompt{"prompt", {}}, decode{"decode", {}};
  for (std::size_t row = 0; row < info.q_pos.size(); ++row) {
    if (info.phase[row] == 1)
      decode.rows.push_back(static_cast<std::int64_t>(row));
    else if (info.q_pos[row] >= first_prompt)
      prompt.rows.push_back(static_cast<std::int64_t>(row));
  }
  for (TestRows* set : {&prompt, &decode}) {
    if (set->rows.empty()) continue;
    if (const auto drawn = static_cast<std::size_t>(o.test_draw); drawn > 0)
      set->rows = draw(set->rows, drawn, o.common.seed);
    s.end = std::max(s.end, info.q_pos[static_cast<std::size_t>(set->rows.back())] + 1);
    s.tests.push_back(std::move(*set));
  }
  if (s.tests.empty())
    fail_bad_data({.what = "no test queries",
                   .file = file,
                   .where = "q_pos",
                   .why = fmt::format(
                       "no stored query lies after the last indexed key, position {}", s.last_key),
                   .hint = "use --window or --keys to end earlier, or dump with --generate"});
}

std::string train_pick(const Options& o) {
  if (!o.train_pick.empty()) return o.train_pick;
  return o.repeats > 1 ? "drawn" : "even";
}

void choose_training(const DumpInfo& info, const Options& o, Selection& s) {
  std::vector<std::int64_t> stored;
  for (std::size_t row = 0; row < info.q_pos.size(); ++row)
    if (info.phase[row] == 0 && info.q_pos[row] <= s.last_key)
      stored.push_back(static_cast<std::int64_t>(row));
  const auto m = stored.size(), cap = static_cast<std::size_t>(o.train);
  if (cap == 0 || cap >= m) {
    s.train_rows = std::move(stored);
    return;
  }
  const std::string pick = train_pick(o);
  if (pick == "last") {
    s.train_rows.assign(stored.end() - static_cast<std::ptrdiff_t>(cap), stored.end());
    return;
  }
  // One of each of `cap` equal strata: a contiguous prefix leaves late keys uncovered.
  Rng rng(o.common.seed, kTrainingStream);
  for (std::size_t i = 0; i < cap; ++i) {
    const std::size_t first = i * m / cap, end = (i + 1) * m / cap;
    s.train_rows.push_back(pick == "drawn" ? stored[first + rng.below(end - first)]
                                           : stored[(2 * i + 1) * m / (2 * cap)]);
  }
}

void choose_groups(const store::DumpReader& dump, const Options& o, Selection& s) {
  const DumpInfo& info = dump.info();
  const std::vector<int> layers = choose_layers(dump, o);
  const auto heads = parse_list(o.heads, static_cast<int>(info.n_heads), "--heads");
  const auto kv_heads = parse_list(o.kv_heads, static_cast<int>(info.n_kv_heads), "--kv-heads");
  for (const int layer : layers)
    for (const int kv : kv_heads) {
      Group group{.layer = layer, .kv_head = kv, .heads = {}};
      for (const int h : heads)
        if (h * info.n_kv_heads / info.n_heads == kv) group.heads.push_back(h);
      if (!group.heads.empty()) s.groups.push_back(std::move(group));
    }
  if (s.groups.empty())
    fail_usage("--heads", fmt::format("none of the query heads {} reads one of the KV heads {}",
                                      fmt::join(heads, ","), fmt::join(kv_heads, ",")));
}

// Rows [first, last_key] go to `indexed`, all others before `end` to `fixed`, in order.
template <class Read>
void read_split(const Selection& s, const Read& read, Matrix<float>& indexed,
                Matrix<float>& fixed) {
  indexed = read(s.first_key, s.last_key - s.first_key + 1);
  const std::int64_t before = s.first_key, after = s.end - s.last_key - 1;
  fixed = Matrix<float>(static_cast<std::size_t>(before + after), indexed.cols());
  const auto copy = [&](const Matrix<float>& from, std::int64_t row) {
    std::copy_n(from.data(), from.rows() * from.cols(), fixed.row(static_cast<std::size_t>(row)));
  };
  if (before > 0) copy(read(0, before), 0);
  if (after > 0) copy(read(s.last_key + 1, after), before);
  if (!s.bf16) return;
  for (Matrix<float>* m : {&indexed, &fixed})
    for (float& v : std::span(m->data(), m->rows() * m->cols())) v = to_float(to_bf16(v));
}

Matrix<float> read_queries(const store::DumpReader& dump, int layer, int head,
                           const std::vector<std::int64_t>& rows) {
  if (rows.empty()) return {};
  const std::int64_t first = rows.front(), count = rows.back() - first + 1;
  Matrix<float> span = dump.read_q(layer, head, first, count);
  if (static_cast<std::size_t>(count) == rows.size()) return span;
  std::vector<std::size_t> local;
  for (const std::int64_t row : rows) local.push_back(static_cast<std::size_t>(row - first));
  return gather(span.view(), local);
}

}  // namespace

std::vector<int> choose_layers(const store::DumpReader& dump, const Options& o) {
  const DumpInfo& info = dump.info();
  std::vector<int> layers = info.layers;
  if (!o.layers.empty()) layers = parse_list(o.layers, static_cast<int>(info.n_layers), "--layers");
  for (const int layer : layers)
    if (std::find(info.layers.begin(), info.layers.end(), layer) == info.layers.end())
      fail_bad_data({.what = "missing layer",
                     .file = dump.path().string(),
                     .where = fmt::format("layer {}", layer),
                     .why = fmt::format("the dump holds layers {}", fmt::join(info.layers, ",")),
                     .hint = "dump it, or choose with --layers"});
  for (const int layer : layers) dump.check_layer(layer);
  return layers;
}

Selection select(const store::DumpReader& dump, const Options& o) {
  const DumpInfo& info = dump.info();
  const std::string file = dump.path().string();
  Selection s;
  s.bf16 = o.kv_dtype == "bf16";
  choose_keys(info, file, o, s);
  choose_groups(dump, o, s);
  choose_tests(info, file, o, s);
  choose_training(info, o, s);
  return s;
}

void check_k(std::int64_t k, std::size_t n_keys, const std::string& option) {
  if (k < 1 || static_cast<std::size_t>(k) > n_keys)
    fail_usage(option, fmt::format("{} of {} indexed keys", k, n_keys),
               fmt::format("allowed: 1..{}", n_keys));
}

stats::HeadData GroupVectors::head_data(const TestSet& test) const {
  return {.queries = test.queries.view(),
          .keys = keys.view(),
          .values = values.view(),
          .static_keys = static_keys.view(),
          .static_values = static_values.view(),
          .visible = test.visible,
          .scale = scale};
}

GroupVectors load(const store::DumpReader& dump, const Selection& s, const Group& group,
                  Wanted wanted) {
  const DumpInfo& info = dump.info();
  GroupVectors v;
  v.group = group;
  v.scale = info.scale;
  v.n_sink = static_cast<std::size_t>(s.first_key);
  const auto read_k = [&](std::int64_t first, std::int64_t count) {
    return dump.read_k(group.layer, group.kv_head, first, count);
  };
  const auto read_v = [&](std::int64_t first, std::int64_t count) {
    return dump.read_v(group.layer, group.kv_head, first, count);
  };
  read_split(s, read_k, v.keys, v.static_keys);
  if (wanted.values) read_split(s, read_v, v.values, v.static_values);

  for (int h = 0; h < static_cast<int>(info.n_heads); ++h) {
    if (h * info.n_kv_heads / info.n_heads != group.kv_head) continue;
    HeadVectors head{.head = h, .chosen = false, .train = {}, .tests = {}};
    head.chosen = std::find(group.heads.begin(), group.heads.end(), h) != group.heads.end();
    if (wanted.group_train || (wanted.train && head.chosen))
      head.train = read_queries(dump, group.layer, h, s.train_rows);
    for (const TestRows& rows : s.tests) {
      if (!head.chosen) break;
      TestSet test{.name = rows.name,
                   .queries = read_queries(dump, group.layer, h, rows.rows),
                   .visible = {}};
      for (const std::int64_t row : rows.rows) {
        const std::int64_t position = info.q_pos[static_cast<std::size_t>(row)];
        test.visible.push_back(static_cast<std::size_t>(s.first_key + position - s.last_key));
      }
      head.tests.push_back(std::move(test));
    }
    v.heads.push_back(std::move(head));
  }
  return v;
}

std::uint64_t load_bytes(const DumpInfo& info, const Selection& s, Wanted wanted) {
  const auto d = static_cast<std::uint64_t>(info.head_dim),
             dv = static_cast<std::uint64_t>(info.value_dim);
  const auto end = static_cast<std::uint64_t>(s.end);
  std::uint64_t floats = end * d + (wanted.values ? end * dv : 0);
  const auto group = static_cast<std::uint64_t>(info.n_heads / info.n_kv_heads);
  if (wanted.train || wanted.group_train) floats += group * s.train_rows.size() * d;
  for (const TestRows& t : s.tests)
    floats += group * t.rows.size() * (d + dv * (wanted.values ? 2 : 0));
  return floats * sizeof(float);
}

Json base_config(const store::DumpReader& dump, const Selection& s, const Options& o) {
  Json c;
  c["model_sha256"] = dump.info().model_sha256;
  c["input_sha256"] = dump.sha256();
  c["seed"] = o.common.seed;
  c["threads"] = threads();
  c["deterministic"] = true;
  c["keys"] = fmt::format("{}-{}", s.first_key, s.last_key);
  if (s.bf16) c["kv_dtype"] = "bf16";
  if (const std::string pick = train_pick(o); pick != "even") c["train_pick"] = pick;
  if (o.test_draw > 0) c["test_draw"] = o.test_draw;
  return c;
}

std::vector<std::size_t> sample_without_replacement(std::size_t n, std::size_t count,
                                                    std::uint64_t seed, std::uint64_t stream) {
  RA_CHECK(count <= n);
  // Floyd: one draw per element, each subset equally likely.
  std::set<std::size_t> chosen;
  Rng rng(seed, 0x5a3b1e, stream);
  for (std::size_t j = n - count; j < n; ++j) {
    const auto t = static_cast<std::size_t>(rng.below(j + 1));
    chosen.insert(chosen.contains(t) ? j : t);
  }
  return {chosen.begin(), chosen.end()};
}

Matrix<float> gather(MatView<const float> from, const std::vector<std::size_t>& rows) {
  Matrix<float> out(rows.size(), from.cols);
  for (std::size_t i = 0; i < rows.size(); ++i)
    std::copy_n(from.row(rows[i]), from.cols, out.row(i));
  return out;
}

void stop_if_interrupted() {
  if (interrupted())
    fail(Exit::kInterrupted, {.what = "interrupted",
                              .file = "",
                              .where = signal_name(caught_signal()),
                              .why = "records written so far are whole",
                              .hint = ""});
}

}  // namespace ra::recall
