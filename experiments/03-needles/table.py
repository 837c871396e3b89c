# SPDX-License-Identifier: Apache-2.0
"""Values found at each depth, mode by mode and task by task, over all seeds of the records; then what each mode cost.
usage: table.py RECORDS"""
import json
import math
import sys


def wilson(p, n, z=1.96):
    """95 % interval of a share p of n (Wilson 1927)."""
    z2 = z * z / n
    middle, half = (p + z2 / 2) / (1 + z2), z * math.sqrt(p * (1 - p) / n + z2 / (4 * n)) / (1 + z2)
    return max(0, middle - half), min(1, middle + half)


def share(questions):
    """Values found of those asked; what is counted for the interval is questions, as the values of one stand in one answer."""
    parts = [sum(v["found"] for v in q["values"]) / len(q["values"]) for q in questions]
    p = sum(parts) / len(parts)
    low, high = wilson(p, len(parts))
    return f"{100 * p:.0f} % ({100 * low:.0f} to {100 * high:.0f})"


def main(path):
    records = [r for r in map(json.loads, open(path)) if r["status"] == "ok"]
    modes = list(dict.fromkeys(r["config"]["mode"] for r in records))
    tasks = list(dict.fromkeys(t for r in records for t in r["config"]["needle_tasks"]))
    depths = records[0]["config"]["needle_depths"]
    of = {m: [r for r in records if r["config"]["mode"] == m] for m in modes}

    print("| mode | task | questions |", " | ".join(f"{d:g}" for d in depths), "| found (95 %) |")
    print("|---|---|--:|" + "---|" * (len(depths) + 1))
    for mode in modes:
        for task in tasks:
            questions = [q for r in of[mode] for q in r["questions"] if q["task"] == task]
            cells = []
            for d in depths:
                found = [v["found"] for q in questions for v in q["values"] if v["depth"] == d]
                cells.append(f"{sum(found)}/{len(found)}" if found else "")
            print("|", " | ".join([mode, task, str(len(questions)), *cells, share(questions)]), "|")

    print("\n| mode | seeds | found of all (95 %) | NLL | delta | KL | ms/token | keys scanned | read in attention a token |")
    print("|---|--:|---|--:|--:|--:|--:|--:|--:|")
    for mode in modes:
        mean = lambda name: sum(r["metrics"][name] for r in of[mode]) / len(of[mode])
        print(f"| {mode} | {len({r['config']['seed'] for r in of[mode]})} | {share([q for r in of[mode] for q in r['questions']])} | "
              f"{mean('nll'):.3f} | {mean('nll_delta'):.3f} | {mean('kld_mean'):.2g} | {mean('decode_ms'):.0f} | "
              f"{100 * mean('scanned_frac'):.1f} % | {mean('work_bytes') / 1e6:.0f} MB |")


if __name__ == "__main__":
    main(sys.argv[1])
