# SPDX-License-Identifier: Apache-2.0
"""Google Benchmark's output of micro_bench as result records, the fastest repetition of each case, by CPU time.

usage: ra-bench --build-info | records.py MICRO.json >RECORDS.jsonl
"""
import json
import sys


def records(output, build):
    fastest = {}
    for b in output["benchmarks"]:
        if b["run_type"] == "iteration" and not b.get("error_occurred"):
            best = fastest.setdefault(b["run_name"], b)
            if b["cpu_time"] < best["cpu_time"]:
                fastest[b["run_name"]] = b
    for name, b in sorted(fastest.items()):
        level, _, case = name.partition("/")
        if level not in build["isa_compiled"]:  # the searches, at the best level
            level, case = output["context"]["isa"], name
        read, multiply = b["bytes_per_second"] / b["read_limit"], b.get("flops", 0) / b.get("flop_limit", float("inf"))
        rates = {"read_gb_s": b["bytes_per_second"], "read_limit_gb_s": b["read_limit"],
                 "multiply_gflop_s": b.get("flops"), "multiply_limit_gflop_s": b.get("flop_limit")}
        yield {"schema_version": 1, "tool": "micro_bench", "kind": "limits", "status": "ok",
               "provenance": {**{k: build[k] for k in ("git_commit", "compiler", "cpu")}, "isa": level, "threads": 1},
               "config": {"case": case, "level": level},
               "metrics": {"call_us": round(b["cpu_time"], 4),
                           **{k: v and round(v / 1e9, 3) for k, v in rates.items()},
                           "limit_frac": round(max(read, multiply), 4)},
               "limit": "products" if multiply > read else "reads"}


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    with open(sys.argv[1]) as raw:
        for record in records(json.load(raw), json.load(sys.stdin)):
            print(json.dumps(record, separators=(",", ":")))
