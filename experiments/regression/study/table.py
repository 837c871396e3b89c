#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tables of the study from results/*.jsonl: table.py RESULTS > RESULTS/table.md"""
import json
import pathlib
import statistics
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from study import CASES, KINDS  # noqa: E402


def upper_bound(k, n, confidence=0.95):
    """Of a share seen k times in n (Clopper and Pearson, 1934), one-sided, by bisection."""
    from math import comb
    low, high = k / n, 1.0
    for _ in range(60):
        p = (low + high) / 2
        if sum(comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k + 1)) > 1 - confidence:
            low = p
        else:
            high = p
    return high


def main(folder):
    runs = {kind: [json.loads(line) for line in (folder / f"{kind}.jsonl").open()] for kind in KINDS
            if (folder / f"{kind}.jsonl").exists()}
    print("| injected | comparisons | slow case caught | inconclusive | passed | false alarms elsewhere | pairs, median | seconds, median |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for kind, rows in runs.items():
        n, share = len(rows), KINDS[kind][1]
        seen = [r["cases"][r["slowed"]]["verdict"] for r in rows] if share else []
        alarms = sum(any(c["verdict"] == "regression" for name, c in r["cases"].items() if name != r["slowed"]) for r in rows)
        tell = lambda k: f"{k} ({100 * k / n:.1f} %)"
        cells = [f"{share:.0%}" if share else "nothing", str(n),
                 tell(seen.count("regression")) if share else "-",
                 tell(seen.count("inconclusive") if share else sum(r["status"] == 3 for r in rows)),
                 tell(sum(v in ("ok", "improved") for v in seen) if share else sum(r["status"] == 0 for r in rows)),
                 tell(alarms), f"{statistics.median(r['pairs'] for r in rows):g}",
                 f"{statistics.median(r['seconds'] for r in rows):.0f}"]
        print("| " + " | ".join(cells) + " |")
    same = runs["same"]
    alarms = sum(r["status"] == 1 for r in same)
    print(f"\n{alarms} of {len(same)} comparisons of a build with itself raised an alarm: at most "
          f"{100 * upper_bound(alarms, len(same)):.1f} % with 95 % confidence.\n")
    print("| case | spread of a pair, % | A/A floor, median % | largest, % | estimate with 5 % injected | with 10 % |")
    print("|---|---:|---:|---:|---|---|")
    for case in CASES:
        pairs = [statistics.pstdev(r["cases"][case]["pairs"]) / 100 for r in same]
        floors = [r["cases"][case]["aa_floor"] for r in same]
        cells = [case, f"{statistics.median(pairs):.2f}", f"{statistics.median(floors):.2f}", f"{max(floors):.2f}"]
        for kind in ("slower-5", "slower-10"):
            found = [r["cases"][case]["change"] for r in runs.get(kind, []) if r["slowed"] == case]
            cells.append(f"{min(found):.1f} to {max(found):.1f} %" if found else "-")
        print("| " + " | ".join(cells) + " |")
    loads = [r["load_1m"] for rows in runs.values() for r in rows]
    print(f"\nLoad of the machine (1 minute, 2 cores): {min(loads):g} to {max(loads):g}, median {statistics.median(loads):g}.")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
