# SPDX-License-Identifier: Apache-2.0
"""The table of the page: a row a kernel, microseconds of a call and share of the limit at each level.

usage: table.py RECORDS.jsonl
"""
import json
import pathlib
import sys

LEVELS = ("scalar", "avx2", "avx512", "amx")


def main(path):
    records = [json.loads(line) for line in pathlib.Path(path).read_text().splitlines()]
    cases = {}
    for r in records:
        cases.setdefault(r["config"]["case"], {})[r["config"]["level"]] = r
    print("| case | " + " | ".join(LEVELS) + " | limit | GB/s | Gflop/s |")
    print("|---|" + "--:|" * len(LEVELS) + "---|--:|--:|")
    for case, by_level in cases.items():
        best = [by_level[level] for level in LEVELS if level in by_level][-1]
        cells = []
        for level in LEVELS:
            m = by_level[level]["metrics"] if level in by_level else None
            cells.append(f"{m['call_us']:.4g} ({m['limit_frac']:.0%})" if m else "")
        m = best["metrics"]
        products = "" if m["multiply_gflop_s"] is None else f"{m['multiply_gflop_s']:.4g}"
        limit = best["limit"] if m["multiply_limit_gflop_s"] or not products else "reads; integers"
        print(f"| {case} | {' | '.join(cells)} | {limit} | {m['read_gb_s']:.3g} | {products} |")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(sys.argv[1])
