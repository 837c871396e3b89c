#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Medians over the runs of each context, thread count and schedule, as Markdown. usage: table.py decode.jsonl"""
import json
import statistics
import sys

FIELDS = ("decode_ms", "search_ms", "gather_ms", "static_ms", "search_busy_ms", "static_busy_ms", "overlap_frac")

groups = {}
for line in open(sys.argv[1]):
    record = json.loads(line)
    config, metrics = record["config"], record["metrics"]
    schedule = "-" if config["mode"] == "full" else config.get("schedule", "parallel")
    key = (config["threads"], config["context"], config["mode"], schedule)
    groups.setdefault(key, []).append(metrics)

print("| threads | context | mode | schedule | ms per token | retrieval and static set | busy: search | busy: static | overlap |")
print("|--:|--:|---|---|--:|--:|--:|--:|--:|")
for (threads, context, mode, schedule), runs in sorted(groups.items()):
    m = {f: statistics.median(r[f] or 0 for r in runs) for f in FIELDS}
    both = m["search_ms"] + m["gather_ms"] + m["static_ms"]
    print(f"| {threads} | {context:,} | {mode} | {schedule} | {m['decode_ms']:.1f} | {both:.2f} | {m['search_busy_ms']:.2f} "
          f"| {m['static_busy_ms']:.2f} | {100 * m['overlap_frac']:.0f} % |")
