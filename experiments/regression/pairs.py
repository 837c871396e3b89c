#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Times two builds in turn until it is clear whether the new one is slower, or the budget ends.

    pairs.py BASE_BUILD NEW_BUILD -o FOLDER [--cases a,b] [--budget 60] [--threshold 3%]

One pair is a process of each build, and one more of the base build for the A/A floor, alive at the same
time and pinned to the same core. They work one at a time, about half a millisecond each, in the order
new base again again base new and so on: whatever the machine does to one it does to the others. A new
pair means new processes, so that the luck of a memory layout is part of the noise, and the next core.

FOLDER gets base.jsonl, new.jsonl, again.jsonl (result records, `in_turns`) and report.json; stdout the table of
`ra-bench compare`, whose exit status is that of this script: 0 no regression, 1 regression, 3 inconclusive.
Looks at the data are taken at a few fixed numbers of pairs, and each gets its part of alpha, so that looking
often does not raise false alarms.
"""
import argparse
import contextlib
import json
import math
import os
import pathlib
import subprocess
import sys
import time

LOOKS = (10, 16, 24, 40)  # pairs after which the answer is asked for
REPEATS = 6  # mirrored sixes of turns a pair: 12 samples of each build and case
CHUNK_US, TURN_US = 50, 500  # a turn: the least of some chunks, after one that is not timed


class Build:
    """A live process of one build, pinned to one core."""

    def __init__(self, program, pair, cases, core, slow):
        environment = {**os.environ, **({"RA_SLOW": slow} if slow else {})}
        self.process = subprocess.Popen(
            [program, str(pair), *cases], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
            preexec_fn=lambda: os.sched_setaffinity(0, {core}))

    def ready(self):
        if self.process.stdout.readline() != "ready\n":
            self.process.stdin.close()
            sys.exit(self.process.wait() or 1)

    def turn(self, case, calls, chunks):
        self.process.stdin.write(f"{case} {calls} {chunks}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def records(self):
        self.process.stdin.close()
        text = self.process.stdout.read()
        if self.process.wait() != 0:
            sys.exit(f"a benchmark process ended with {self.process.returncode}")
        return text

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def program_of(build):
    program = build / "tests/bench_micro/paired_bench"
    if not program.exists():
        sys.exit(f"{program} is not built")
    return program


def one_pair(number, programs, cases, shape, slow):
    """Runs processes of the programs side by side; their records as text."""
    cores = sorted(os.sched_getaffinity(0))
    with contextlib.ExitStack() as stack:
        builds = []
        for name, program in programs.items():
            builds.append(Build(program, number, cases, cores[number % len(cores)], slow if name == "new" else None))
            stack.callback(builds[-1].kill)
        for build in builds:
            build.ready()
        for case in cases:
            if case not in shape:  # the same for every build and pair
                fastest = builds[0].turn(case, 1, 8)
                calls = max(1, round(CHUNK_US / fastest))
                shape[case] = calls, max(3, round(TURN_US / (fastest * calls)))
        for repeat in range(-1, REPEATS):
            for case in cases:
                # The order starts at another build each time, so that none is always first.
                turned = builds[repeat % len(builds):] + builds[:repeat % len(builds)]
                for build in turned + turned[::-1]:
                    build.turn(case, *shape[case])
        return [build.records() for build in builds]


def without_warm_up(text):
    """Records with the last turns only: the first ones warm caches and predictors, the calibration is not a turn."""
    lines = []
    for line in text.splitlines():
        record = json.loads(line)
        samples = record["samples"]["call_us"]
        samples[0] = samples[0][-2 * REPEATS:]
        record["percentiles"] = {}
        lines.append(json.dumps(record) + "\n")
    return "".join(lines)


def judge(compare, folder, alpha, threshold, output, extra=()):
    """Exit status of compare."""
    return subprocess.run(
        [compare, "compare", folder / "base.jsonl", folder / "new.jsonl", "--again", folder / "again.jsonl",
         "--alpha", f"{alpha:.6g}", "--threshold", threshold, "--format", output, *extra],
        stdout=(folder / "report.json").open("w") if output == "json" else None).returncode


def compare_builds(base, new, folder, cases, budget, threshold, alpha, slow=None, looks=LOOKS):
    """Adds pairs until compare is sure. Returns (status, pairs, seconds)."""
    folder.mkdir(parents=True, exist_ok=True)
    names = ("new", "base", "again")
    programs = dict(zip(names, (program_of(new), program_of(base), program_of(base))))
    for name in names:
        (folder / f"{name}.jsonl").write_text("")
    start, shape, status = time.monotonic(), {}, 3
    pair = 0
    # With fewer pairs Wilcoxon's test cannot reach alpha after Holm, whatever the pairs say: the budget waits for it.
    provable = math.ceil(math.log2(len(cases) * len(looks) / alpha))
    for look in looks:
        while pair < look and (pair < provable or time.monotonic() - start < budget):
            for name, text in zip(names, one_pair(pair, programs, cases, shape, slow)):
                with (folder / f"{name}.jsonl").open("a") as out:
                    out.write(without_warm_up(text))
            pair += 1
        # Clear is what every measurement is clear about; 1 and 3 differ only in what compare saw.
        status = judge(new / "apps/bench/ra-bench", folder, alpha / len(looks), threshold, "json", ("-q",))
        if status not in (0, 1, 3):
            sys.exit(status)
        clear = all(row["verdict"] != "inconclusive" for row in json.loads((folder / "report.json").read_text())["rows"])
        if clear or (pair >= provable and time.monotonic() - start > budget):
            break
    return status, pair, time.monotonic() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", type=pathlib.Path)
    parser.add_argument("new", type=pathlib.Path)
    parser.add_argument("-o", "--out", type=pathlib.Path, required=True)
    parser.add_argument("--cases", help="comma list; default all that both builds have")
    parser.add_argument("--budget", type=float, default=60, help="seconds after which no pair is added")
    parser.add_argument("--threshold", default="3%")
    parser.add_argument("--alpha", type=float, default=0.01, help="family-wise false alarms, all looks together")
    parser.add_argument("--slow", help="CASE=SHARE: make that case of the new build slower, to test the comparison")
    o = parser.parse_args()
    listed = [subprocess.run([program_of(b), "--list"], capture_output=True, text=True, check=True).stdout.split()
              for b in (o.base, o.new)]
    cases = o.cases.split(",") if o.cases else [c for c in listed[0] if c in listed[1]]
    status, pairs, seconds = compare_builds(o.base, o.new, o.out, cases, o.budget, o.threshold, o.alpha, o.slow)
    judge(o.new / "apps/bench/ra-bench", o.out, o.alpha / len(LOOKS), o.threshold, "md")
    print(f"\n{pairs} pairs of {len(cases)} cases in {seconds:.0f} s")
    return status


if __name__ == "__main__":
    sys.exit(main())
