# SPDX-License-Identifier: Apache-2.0
"""Error, mass and bytes of each setting, as Markdown.

usage: table.py RECORDS.jsonl     (records of `ra-bench attention`, one context)
"""
import json
import sys

import numpy as np

FIELDS = ("attended_mean", "output_rel_l2", "mass_all_frac", "scanned_frac", "work_bytes")


def setting(config):
    """What makes the record's heads attend to what they do."""
    limits = [f"{name}={config[name]}" for name in ("select", "share", "rest", "budget", "top_p", "range") if name in config]
    return config["mode"], config["index"] or "", config["k"], " ".join(limits)


def main():
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    settings = {}
    for line in open(sys.argv[1]):
        record = json.loads(line)
        if record["kind"] == "attention" and record["status"] == "ok":
            settings.setdefault(setting(record["config"]), []).append([record["metrics"][f] for f in FIELDS])
    print("| mode | index | k | limit | layers | keys attended | rel. L2 error | mass % | scanned % | MB per token and layer |")
    print("|---|---|--:|---|--:|--:|--:|--:|--:|--:|")
    for (mode, index, k, limits), rows in sorted(settings.items(), key=lambda s: (s[0][0], s[0][1], s[0][3], s[0][2] or 0)):
        keys, error, mass, scanned, read = np.mean(rows, axis=0)
        print(f"| {mode} | {index} | {'' if k is None else k} | {limits} | {len(rows)} | {keys:.0f} | {error:.4f} | {100 * mass:.1f} | "
              f"{100 * scanned:.1f} | {read / 1e6:.2f} |")


if __name__ == "__main__":
    main()
