#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What would choosing probes, or a scan, for each KV head gain? An upper bound: chosen by the test queries themselves.

usage: per_head.py CURVE.jsonl [GROUP]    GROUP = query heads of a KV head, default 7
"""
import collections
import json
import sys


def points(path, group):
    """{(layer, KV head): [(us, recall, name)]} of the timed points, means over the heads of the group."""
    found = collections.defaultdict(lambda: collections.defaultdict(list))
    for line in open(path):
        record = json.loads(line)
        c, m = record["config"], record["metrics"]
        if c["head"] is None or m["query_us"] is None:
            continue
        found[c["layer"], c["head"] // group][f"{c['index']} {c['search']}".strip()].append((m["query_us"], m["recall_id"]))
    return {unit: [(sum(us for us, _ in heads) / len(heads), sum(r for _, r in heads) / len(heads), name)
                   for name, heads in names.items()] for unit, names in found.items()}


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__.strip().splitlines()[-1])
    units = points(sys.argv[1], int(sys.argv[2]) if len(sys.argv) == 3 else 7)
    rows = []
    for name in next(iter(units.values())):
        chosen = [next(p for p in unit if p[2] == name[2]) for unit in units.values()]
        rows.append((name[2], chosen))
    # The fewest microseconds at a mean recall of 0.95: one price of recall for all units, as dear as it must be.
    for price in range(1, 5000):
        chosen = [max(unit, key=lambda p: price * p[1] - p[0]) for unit in units.values()]
        if sum(p[1] for p in chosen) >= 0.95 * len(chosen):
            rows.append(("the best for each KV head, mean recall 0.95", chosen))
            break
    print(f"| {len(units)} KV heads | µs per query | recall |\n|---|---|---|")
    for name, chosen in rows:
        print(f"| {name} | {sum(p[0] for p in chosen) / len(chosen):.1f} | {sum(p[1] for p in chosen) / len(chosen):.4f} |")


if __name__ == "__main__":
    main()
