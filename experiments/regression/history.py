#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The history of a project's speed: one JSON line a commit, only ever appended.

    history.py append HISTORY.jsonl --counters FOLDER --times report.json --commit SHA --base-commit SHA --build-info FILE
    history.py changes HISTORY.jsonl

FOLDER holds counters.sh's LEVEL.jsonl, report.json is that of pairs.py. `changes` prints where the level of a time
changed for good, also by many steps that are too small to show one by one, and which commit changed which counters.
Times are against the base build, so keep one base (the last release) for as long as a line shall go on.
"""
import argparse
import json
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "plots"))
from change_points import change_points  # noqa: E402

LEAST = 0.02  # smaller changes of a time's level are not told


def counters(folder):
    """"LEVEL kind config metric" -> value."""
    out = {}
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.open():
            r = json.loads(line)
            name = " ".join([path.stem, r["kind"], json.dumps(r["config"], separators=(",", ":"))])
            out |= {f"{name} {metric}": value for metric, value in r["metrics"].items()}
    return out


def append(o):
    report = json.loads(o.times.read_text())
    times = {row["name"].removeprefix("call "): {
        "us": row["new"], "change": row["change"], "interval": row["interval"], "verdict": row["verdict"]}
        for row in report["rows"] if row["evidence"] == "time"}
    line = json.dumps({
        "schema_version": 1, "kind": "history", "status": "ok", "time_utc": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "commit": o.commit, "base_commit": o.base_commit, "provenance": json.loads(o.build_info.read_text()),
        "times": times, "counters": counters(o.counters)}, separators=(",", ":"))
    # One write, so that two jobs cannot mix their lines.
    with o.history.open("a") as out:
        out.write(line + "\n")


def read(path):
    records = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        try:
            record = json.loads(line)
        except ValueError:
            sys.exit(f"history.py: error: bad history: {path}: line {number}: not JSON (cut short?)")
        if record.get("kind") != "history":
            sys.exit(f"history.py: error: bad history: {path}: line {number}: not a line of history.py append")
        records.append(record)
    if not records:
        sys.exit(f"history.py: error: bad history: {path}: -: empty")
    return records


def changes(o):
    records = read(o.history)
    base, cpu = records[-1]["base_commit"], records[-1]["provenance"]["cpu"]
    told = [r for r in records if (r["base_commit"], r["provenance"]["cpu"]) == (base, cpu)]
    cases = {}
    for r in told:
        for case, t in r["times"].items():
            cases.setdefault(case, []).append((r["commit"], t["change"]))
    for case, values in sorted(cases.items()):
        for at in change_points([v for _, v in values], LEAST):
            before, after = (sorted(v for _, v in part)[len(part) // 2] for part in (values[:at], values[at:]))
            print(f"time {case}: {100 * before:+.1f} % to {100 * after:+.1f} % of the base, from {values[at][0][:12]} on")
    for before, after in zip(records, records[1:]):
        shared = before["counters"].keys() & after["counters"].keys()
        for name in sorted(n for n in shared if before["counters"][n] != after["counters"][n]):
            print(f"counter {name}: {before['counters'][name]:g} to {after['counters'][name]:g} with {after['commit'][:12]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    add = commands.add_parser("append")
    add.add_argument("history", type=pathlib.Path)
    for name in ("--counters", "--times", "--build-info"):
        add.add_argument(name, type=pathlib.Path, required=True)
    for name in ("--commit", "--base-commit"):
        add.add_argument(name, required=True)
    add.set_defaults(run=append)
    show = commands.add_parser("changes")
    show.add_argument("history", type=pathlib.Path)
    show.set_defaults(run=changes)
    o = parser.parse_args()
    o.run(o)


if __name__ == "__main__":
    main()
