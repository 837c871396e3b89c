#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How often pairs.py is wrong: comparisons of one build with itself, and with one case slowed down.

    study.py BUILD -o RESULTS [--count 1000]

200 comparisons of BUILD with itself and 50 each with one case made 3, 5 and 10 % slower, in an order that mixes
them, so that every kind meets every mood of the machine. Each appends a line to RESULTS/<kind>.jsonl; what is there
is not run again, so the study can be stopped and gone on with. --count: at most that many now.
The slowed case goes through the list, one after the other.
"""
import argparse
import json
import os
import pathlib
import random
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import pairs  # noqa: E402

CASES = ["gemv/Q4_K", "gemv/Q8_0", "attend_partial/bf16", "attend_causal", "score_codes/4", "topk", "search/qivf",
         "search/flat_bits8"]
KINDS = {"same": (200, 0), "slower-3": (50, 0.03), "slower-5": (50, 0.05), "slower-10": (50, 0.10)}
BUDGET = 30  # seconds of a comparison
THRESHOLD = 0.03


def plan():
    runs = [(kind, run) for kind, (n, _) in KINDS.items() for run in range(n)]
    random.Random(1).shuffle(runs)
    return runs


def finished(results):
    done = set()
    for kind in KINDS:
        path = results / f"{kind}.jsonl"
        if path.exists():
            done |= {(kind, json.loads(line)["run"]) for line in path.open()}
    return done


def compact(row):
    """One timed row: change and interval in %, the A/A floor, verdict, and the log ratio of each pair in units of
    0.0001; p if it is below 1, the threshold if the A/A floor raised it."""
    percent = lambda x: round(100 * x, 2)
    out = {"change": percent(row["change"]), "low": percent(row["interval"][0]), "high": percent(row["interval"][1]),
           "aa_floor": percent(row["aa_floor"]), "verdict": row["verdict"],
           "pairs": [round(1e4 * x) for x in row["log_ratios"]]}
    if row["p"] < 1:
        out["p"] = float(f"{row['p']:.2g}")
    if row["threshold"] > THRESHOLD:
        out["threshold"] = percent(row["threshold"])
    return out


def one(build, kind, run):
    share = KINDS[kind][1]
    slowed = CASES[run % len(CASES)] if share else None
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        status, n, seconds = pairs.compare_builds(build, build, folder, CASES, BUDGET, str(THRESHOLD), 0.01,
                                                  f"{slowed}={share}" if slowed else None)
        report = json.loads((folder / "report.json").read_text())
    rows = {row["name"].removeprefix("call "): compact(row) for row in report["rows"] if row["evidence"] == "time"}
    return {"run": run, "slowed": slowed, "status": status, "pairs": n, "seconds": round(seconds, 1),
            "load_1m": round(os.getloadavg()[0], 1), "cases": rows}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("-o", "--out", type=pathlib.Path, required=True)
    parser.add_argument("--count", type=int, default=sys.maxsize)
    o = parser.parse_args()
    o.out.mkdir(parents=True, exist_ok=True)
    done = finished(o.out)
    left = [r for r in plan() if r not in done]
    for kind, run in left[:o.count]:
        line = json.dumps({"kind": kind, **one(o.build, kind, run)}, separators=(",", ":"))
        with (o.out / f"{kind}.jsonl").open("a") as out:
            out.write(line + "\n")
    print(f"{max(0, len(left) - o.count)} left")


if __name__ == "__main__":
    main()
