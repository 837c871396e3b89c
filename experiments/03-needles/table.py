# SPDX-License-Identifier: Apache-2.0
"""Values found at each depth, mode by mode and task by task. usage: table.py RECORDS"""
import json
import sys


def main(path):
    records = [json.loads(line) for line in open(path)]
    depths = records[0]["config"]["needle_depths"]
    print("| mode | task |", " | ".join(f"{d:g}" for d in depths), "| found (95 %) | NLL | delta | KL | ms/token |")
    print("|---|---|" + "---|" * (len(depths) + 5))
    for r in records:
        c, m = r["config"], r["metrics"]
        for task in c["needle_tasks"]:
            values = [v for q in r["questions"] if q["task"] == task for v in q["values"]]
            cells = []
            for d in depths:
                found = [v["found"] for v in values if v["depth"] == d]
                cells.append(f"{sum(found)}/{len(found)}" if found else "")
            low, high = r["ci95"][f"needle_{task}_frac"]
            share = f"{100 * m[f'needle_{task}_frac']:.0f} % ({100 * low:.0f} to {100 * high:.0f})"
            scores = ["", "", "", ""]
            if task == c["needle_tasks"][0]:
                scores = [f"{m['nll']:.3f}", f"{m['nll_delta']:.3f}", f"{m['kld_mean']:.2g}", f"{m['decode_ms']:.0f}"]
            print("|", " | ".join([c["mode"], task, *cells, share, *scores]), "|")


if __name__ == "__main__":
    main(sys.argv[1])
