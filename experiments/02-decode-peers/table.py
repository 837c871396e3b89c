# SPDX-License-Identifier: Apache-2.0
"""Medians over the rounds of run.sh, and the ratio to the better llama.cpp setting. usage: table.py RECORDS"""
import collections
import json
import statistics
import sys


def main(path):
    runs = collections.defaultdict(lambda: ([], []))
    for line in open(path):
        r = json.loads(line)
        name = "ra-bench full" if r["tool"] == "ra-bench" else f"llama.cpp, flash attention {'on' if r['config']['flash_attention'] else 'off'}"
        runs[name][0].append(r["metrics"]["prefill_tok_s"])
        runs[name][1].append(r["metrics"]["decode_tok_s"])
    best = [max(statistics.median(v[i]) for k, v in runs.items() if k != "ra-bench full") for i in (0, 1)]
    print("| program | rounds | prefill tok/s | ratio | decode tok/s at 4,096 | ratio |\n|---|---|---|---|---|---|")
    for name, (prefill, decode) in runs.items():
        p, d = statistics.median(prefill), statistics.median(decode)
        print(f"| {name} | {len(prefill)} | {p:.0f} | {p / best[0]:.2f} | {d:.1f} | {d / best[1]:.2f} |")


if __name__ == "__main__":
    main(sys.argv[1])
