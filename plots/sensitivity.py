# SPDX-License-Identifier: Apache-2.0
"""Decode latency by threads, alone and beside a process that keeps the memory bus busy.

usage: sensitivity.py OUT ALONE.jsonl BESIDE.jsonl     (records of `ra-bench decode`)
"""
import sys

import style

BARS = (((1, 0), "1 thread", style.SKY), ((2, 0), "2 threads", style.BLUE),
        ((1, 1), "1 thread, bus busy", style.ORANGE), ((2, 1), "2 threads, bus busy", style.RED))


def main(out, paths):
    files = [style.read([p], "decode") for p in paths]
    modes = list(dict.fromkeys(r["config"]["mode"] for r in files[0]))
    ms = {(r["config"]["mode"], r["config"]["threads"], i): r for i, records in enumerate(files) for r in records}
    figure, ax = style.plt.subplots(figsize=(6.4, 3.0))
    for i, ((threads, place), label, colour) in enumerate(BARS):
        rows = [ms[m, threads, place] for m in modes]
        ax.bar([x + 0.2 * (i - 1.5) for x in range(len(modes))], [r["metrics"]["decode_ms"] for r in rows], 0.19,
               color=colour, label=label)
    ax.set_xticks(range(len(modes)), modes)
    ax.set_ylabel("ms per token")
    ax.set_title(f"{files[0][0]['config']['context']} tokens", loc="left")
    ax.set_ylim(top=1.15 * ax.get_ylim()[1])
    ax.legend(fontsize=7, ncol=4, loc="upper center")
    origin = files[0][0]["provenance"]
    style.footer(figure, [{"provenance": {**origin, "threads": "1 and 2"}}])
    style.save(figure, out)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        raise SystemExit(__doc__)
    main(sys.argv[1], sys.argv[2:])
