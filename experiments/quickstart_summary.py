# SPDX-License-Identifier: Apache-2.0
"""Closing words of quickstart.sh, from its result records: usage quickstart_summary.py FOLDER"""
import collections
import json
import pathlib
import statistics
import sys


def records(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def mean(values):
    return statistics.fmean(values)


def ood(rows):
    q, k = (statistics.median(r["metrics"][f"mahalanobis_{x}_p50"] for r in rows) for x in "qk")
    print(f"Queries lie {q / k:.1f}x as far from the keys as keys do (Mahalanobis, median over {len(rows)} heads).")


def sparsity(rows):
    k = max(r["config"]["k"] for r in rows if r["config"]["k"] <= 100)
    at = [r["metrics"] for r in rows if r["config"]["k"] == k]
    print(f"The top {k} keys of each query hold {100 * mean([m['recovery_dynamic_frac'] for m in at]):.0f} % of its "
          f"attention; the first query's top {k} kept for all hold {100 * mean([m['recovery_static_frac'] for m in at]):.0f} %.")


def curve(rows):
    print("Share of the keys scanned for 95 % of the top-k (queries -> keys, mean over heads):")
    runs = collections.defaultdict(lambda: collections.defaultdict(list))
    for r in rows:
        if r["config"]["direction"] == "q_to_k":
            runs[r["config"]["index"]][r["config"]["search"]].append(r["metrics"])
    for index, efforts in runs.items():
        points = sorted((mean([m["scanned_frac"] for m in ms]), mean([m["recall_id"] for m in ms]))
                        for ms in efforts.values())
        reached = [p for p in points if p[1] >= 0.95]
        words = (f"{100 * reached[0][0]:5.1f} %" if reached
                 else f"never (best {points[-1][1]:.2f} at {100 * points[-1][0]:.0f} %)")
        print(f"  {index:<36} {words}")


def decode(rows):
    print("Decode, ms per token (median), and how often the next token is the one of full attention:")
    for r in rows:
        m = r["metrics"]
        print(f"  {r['config']['mode']:<10} {m['decode_ms']:7.2f} ms   same top-1 {100 * m['same_top1_frac']:5.1f} %"
              f"   scanned {100 * m['scanned_frac']:6.2f} %   build {m['build_ms'] / 1000:6.1f} s")


def main(folder):
    folder = pathlib.Path(folder)
    for name, tell in (("ood", ood), ("sparsity", sparsity), ("curve", curve), ("decode", decode)):
        rows = [r for r in records(folder / f"{name}.jsonl") if r["kind"] in (name, "recall") and r["status"] == "ok"]
        tell(rows)
    print("\nMade:")
    for path in sorted(folder.iterdir()):
        if path.suffix in (".h5", ".jsonl", ".png", ".svg"):
            print(f"  {path}  ({path.stat().st_size / 1e6:.1f} MB)")


if __name__ == "__main__":
    main(sys.argv[1])
