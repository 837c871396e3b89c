# SPDX-License-Identifier: Apache-2.0
"""Where retrieval by cells spends its time, by context, as Markdown: thread-milliseconds of a token, all layers.

usage: parts.py DECODE.jsonl     (records of `ra-bench decode`)
"""
import json
import sys

PARTS = ("cells", "pick", "floor", "filter")


def main():
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    print("| context | scoring cells | picking, asking for keys | floors | the other keys | whole search | attending to what was found | "
          "static set |")
    print("|--:|--:|--:|--:|--:|--:|--:|--:|")
    for r in map(json.loads, open(sys.argv[1])):
        if r["kind"] != "decode" or r["status"] != "ok" or r["config"]["mode"] != "retrieval":
            continue
        m = r["metrics"]
        if not m["search_cells_ms"]:
            continue
        parts = [m[f"search_{part}_ms"] for part in PARTS]
        found = m["gather_ms"] * m["search_busy_ms"] / (m["search_ms"] - m["grow_ms"])  # of the same tasks
        values = [*parts, m["search_busy_ms"], found, m["static_busy_ms"]]
        print(f"| {r['config']['context']:,} | " + " | ".join(f"{v:.2f}" for v in values) + " |")


if __name__ == "__main__":
    main()
