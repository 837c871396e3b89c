# SPDX-License-Identifier: Apache-2.0
"""Every index of the run in one table: the least effort whose mean recall over heads reaches each target, by time.

usage: vectors_table.py RECORDS.jsonl ...
"""
import collections
import json
import sys

TARGETS = (0.8, 0.9, 0.95, 0.99)


def mean(values):
    values = [v for v in values if v is not None]
    return sum(values) / len(values) if values else None


def main(paths):
    points, builds, tools = collections.defaultdict(list), collections.defaultdict(list), {}
    for path in paths:
        for line in open(path):
            r = json.loads(line)
            c, m = r["config"], r["metrics"]
            tools[c["index"]] = f"{r['tool']} {r['tool_version']}"
            if r["kind"] == "build":
                builds[c["index"]].append((m["build_ms"] / 1000, (m["index_bytes"] - m["key_copy_bytes"]) / c["n_keys"]))
            elif r["kind"] == "recall" and c["query_set"] == "prompt":
                points[c["index"], c["search"]].append(m)
    curves = collections.defaultdict(list)
    for (index, search), ms in points.items():
        curves[index].append({"search": search, **{x: mean([m.get(x) for m in ms]) for x in
                                                   ("recall_id", "scanned_frac", "query_us", "mass_ratio")}})
    show = lambda value, form: "-" if value is None else format(value, form)
    for target in TARGETS:
        print(f"\nrecall of at least {target}\n")
        print("| index | of | search | recall | scanned % | µs per query | mass ratio | build s | B/key |\n|---|---|---|---|---|---|---|---|---|")
        rows, short = [], []
        for index, curve in curves.items():
            reached = [p for p in curve if p["recall_id"] >= target]
            if not reached:
                short.append(f"{index} ({max(p['recall_id'] for p in curve):.3f})")
                continue
            rows.append((min(reached, key=lambda p: p["query_us"] or 0), index))
        for p, index in sorted(rows, key=lambda row: row[0]["query_us"] or 0):
            build, size = mean([b[0] for b in builds[index]]), mean([b[1] for b in builds[index]])
            scanned = None if p["scanned_frac"] is None else 100 * p["scanned_frac"]
            print(f"| {index} | {tools[index]} | {p['search']} | {p['recall_id']:.4f} | {show(scanned, '.2f')} | "
                  f"{show(p['query_us'], '.1f')} | {show(p['mass_ratio'], '.4f')} | {show(build, '.1f')} | {show(size, '.0f')} |")
        if short:
            print(f"\nNot reached (best recall): {'; '.join(short)}.")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    main(sys.argv[1:])
