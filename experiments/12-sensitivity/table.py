# SPDX-License-Identifier: Apache-2.0
"""ms per token by threads, alone and beside the load. usage: table.py RESULTS"""
import json
import pathlib
import sys


def main(folder):
    ms, bandwidth, parts = {}, {}, {}
    for place in ("alone", "beside"):
        for r in map(json.loads, (pathlib.Path(folder) / f"{place}.jsonl").open()):
            key = r["config"]["threads"], place
            ms.setdefault(r["config"]["mode"], {})[key] = r["metrics"]["decode_ms"]
            parts.setdefault(r["config"]["mode"], {})[key] = sum(
                r["metrics"][p] for p in ("search_ms", "gather_ms", "static_ms", "merge_ms"))
            bandwidth[key] = r["provenance"]["bandwidth_gb_s"]
    columns = [(1, "alone"), (2, "alone"), (1, "beside"), (2, "beside")]
    print("| ms per token (attention) | 1 thread | 2 threads | 1, bus busy | 2, bus busy | gain by the 2nd thread | loss by the bus (2 threads) |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    for mode, of in ms.items():
        cells = [f"{of[c]:.1f} ({parts[mode][c]:.1f})" for c in columns]
        print(f"| {mode} |", " | ".join(cells), f"| {of[1, 'alone'] / of[2, 'alone']:.2f} | {of[2, 'beside'] / of[2, 'alone']:.2f} |")
    print("| read bandwidth, GB/s |", " | ".join(f"{bandwidth[c]:.1f}" for c in columns), "| | |")
    faster = lambda c: ms["full"][c] / ms["retrieval"][c]
    print("| full / retrieval |", " | ".join(f"{faster(c):.2f}" for c in columns), "| | |")


if __name__ == "__main__":
    main(sys.argv[1])
