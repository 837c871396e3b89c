// SPDX-License-Identifier: Apache-2.0
#include "apps/bench/decode_table.h"

#include <fmt/format.h>

#include <cstdio>
#include <map>
#include <set>
#include <tuple>

#include "apps/bench/mode_label.h"
#include "lib/bench/table.h"

namespace ra::bench_app {
namespace {

std::string fixed(double v, int digits) { return fmt::format("{:.{}f}", v, digits); }

}  // namespace

void print_decode_table(const std::vector<Json>& records, const std::string& format) {
  if (format == "none" || records.empty()) return;
  const Json& config = records.front()["config"];  // of a run, all have the same batch
  const int batch = config.value("batch", 1);
  bench::Table table({"context", "<mode", batch > 1 ? "ms/step" : "ms/token", "p95", "p99",
                      "retrieval", "attention", "other", "scanned %", "GB/s", "top-1 %", "KL",
                      "build s"});
  for (const Json& r : records) {
    if (r["status"] != "ok") continue;
    const Json &m = r["metrics"], &p = r["percentiles"]["decode_ms"];
    const double retrieval = m["search_ms"].get<double>() + m["gather_ms"].get<double>();
    const double attention = m["static_ms"].get<double>() + m["merge_ms"].get<double>();
    const double total = m["decode_ms"];
    table.add({r["config"]["context"].dump(), mode_label(records, r), fixed(total, 2),
               fixed(p["p95"], 2), fixed(p["p99"], 2), fixed(retrieval, 2), fixed(attention, 2),
               fixed(total - retrieval - attention, 2),
               fixed(100 * m["scanned_frac"].get<double>(), 2), fixed(m["read_gb_s"], 1),
               fixed(100 * m["same_top1_frac"].get<double>(), 1),
               fmt::format("{:.2g}", m["kld_mean"].get<double>()),
               fixed(m["build_ms"].get<double>() / 1000, 2)});
  }
  fmt::print(
      "{}\nms per token (median); retrieval + attention + other = ms/token; KL and top-1 against "
      "full attention on the same tokens; read bandwidth here {:.1f} GB/s\n",
      table.render(format), records.front()["provenance"]["bandwidth_gb_s"].get<double>());
  for (const Json& r : records) {
    const Json& m = r["metrics"];
    if (r["status"] != "ok" || !m.contains("transfer_ms")) continue;
    fmt::print("between host and {}, {}: {:.2f} ms/step, {:.1f} kB down, {:.1f} kB up\n",
               r["config"]["device"].get<std::string>(), mode_label(records, r),
               m["transfer_ms"].get<double>(), m["transfer_to_host_bytes"].get<double>() / 1e3,
               m["transfer_to_device_bytes"].get<double>() / 1e3);
  }
  if (batch > 1)
    fmt::print("{0} sequences: a step is a token of each; ms per token of all: a {0}th\n", batch);
}

void print_prefill_table(const std::vector<Json>& records, const std::string& format) {
  if (format != "md") return;  // csv has room for one table
  bench::Table table({"context", "prefill s", "tok/s", "linear %", "attention %", "other %",
                      "TFLOP/s", "% of peak"});
  std::set<std::int64_t> seen;  // the modes of a context share one prefill
  for (const Json& r : records) {
    const Json& m = r["metrics"];
    if (r["status"] != "ok" || m["prefill_ms"].is_null() ||
        !seen.insert(r["config"]["context"].get<std::int64_t>()).second)
      continue;
    const double ms = m["prefill_ms"], attention = m["prefill_attention_ms"];
    const double linear = m["prefill_qkv_ms"].get<double>() + m["prefill_proj_ms"].get<double>() +
                          m["prefill_ffn_ms"].get<double>() + m["prefill_head_ms"].get<double>();
    table.add({r["config"]["context"].dump(), fixed(ms / 1000, 2), fixed(m["prefill_tok_s"], 0),
               fixed(100 * linear / ms, 1), fixed(100 * attention / ms, 1),
               fixed(100 * (ms - linear - attention) / ms, 1), fixed(m["prefill_tflop_per_s"], 2),
               m["prefill_peak_frac"].is_null()
                   ? "-"
                   : fixed(100 * m["prefill_peak_frac"].get<double>(), 0)});
  }
  if (seen.empty()) return;
  fmt::print(
      "{}\nlinear: QKV with norm and RoPE, projection, feed-forward and head; peak: multiply-adds "
      "at {}, measured between the chunks\n\n",
      table.render(format), records.front()["provenance"]["isa"].get<std::string>());
}

void print_attention_table(const std::vector<Json>& records, const std::string& format) {
  if (format == "none" || records.empty()) return;
  // One row per context and mode: means over the layers, in order of first appearance.
  struct Row {
    double ms = 0, search = 0, fixed_set = 0, scanned = 0, l2 = 0, mass = 0, build_s = 0;
    int layers = 0;
  };
  std::vector<std::pair<std::string, std::string>> order;
  std::map<std::pair<std::string, std::string>, Row> rows;
  for (const Json& r : records) {
    const std::pair key{r["config"]["context"].dump(), mode_label(records, r)};
    if (!rows.contains(key)) order.push_back(key);
    Row& row = rows[key];
    const Json& m = r["metrics"];
    row.ms += m["attention_ms"].get<double>();
    row.search += m["search_ms"].get<double>() + m["gather_ms"].get<double>();
    row.fixed_set += m["static_ms"].get<double>() + m["merge_ms"].get<double>();
    row.scanned += m["scanned_frac"].get<double>();
    row.l2 += m["output_rel_l2"].get<double>();
    row.mass += m["mass_all_frac"].get<double>();
    row.build_s += m["build_ms"].get<double>() / 1000;
    ++row.layers;
  }
  const bool synthetic = records.front()["config"]["synthetic"];  // of a run, all or none
  bench::Table table({synthetic ? "synthetic context" : "context", "<mode", "layers", "ms/layer",
                      "retrieval", "attention", "scanned %", "mass %", "rel. L2", "build s"});
  for (const auto& key : order) {
    const Row& row = rows[key];
    const double n = row.layers;
    table.add({key.first, key.second, std::to_string(row.layers), fixed(row.ms / n, 3),
               fixed(row.search / n, 3), fixed(row.fixed_set / n, 3),
               fixed(100 * row.scanned / n, 2), fixed(100 * row.mass / n, 2),
               fmt::format("{:.2g}", row.l2 / n), fixed(row.build_s, 2)});
  }
  fmt::print(
      "{}\nms per token and layer (median over queries, mean over layers); mass and L2 against "
      "full attention\n",
      table.render(format));
  if (synthetic)
    fmt::print("synthetic: keys drawn from a dump of {} tokens, its last queries\n",
               records.front()["config"]["source_tokens"].dump());
  if (records.front()["config"].contains("cold"))
    fmt::print("the caches were emptied before each call\n");
}

}  // namespace ra::bench_app
