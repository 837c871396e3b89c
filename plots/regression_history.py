#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Times of each case against the base build over commits, with the points where their level changed, and below it how
many counters changed with each commit.

    regression_history.py OUT HISTORY.jsonl
"""
import argparse

import style
from change_points import change_points

SHOWN = 8  # cases with a line of their own: those that moved most
LEAST = 0.02


def series(records):
    """case -> (positions, changes)."""
    out = {}
    for x, r in enumerate(records):
        for case, t in r["times"].items():
            xs, ys = out.setdefault(case, ([], []))
            xs.append(x)
            ys.append(t["change"])
    return out


def counters_changed(before, after):
    return sum(before[name] != value for name, value in after.items() if name in before)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("history", nargs="+")
    o = parser.parse_args()
    records = style.read(o.history, "history")
    base = records[-1]["base_commit"]
    records = [r for r in records if r["base_commit"] == base and r["provenance"]["cpu"] == records[-1]["provenance"]["cpu"]]
    figure, (top, bottom) = style.plt.subplots(2, 1, figsize=(8, 5), height_ratios=[3, 1], sharex=True)
    colours = [style.BLUE, style.ORANGE, style.GREEN, style.RED, style.SKY, style.PURPLE, style.BLACK, style.YELLOW]
    moved = sorted(series(records).items(), key=lambda item: -max(map(abs, item[1][1])))
    for i, (case, (xs, ys)) in enumerate(moved):
        shown = i < SHOWN
        top.plot(xs, [100 * y for y in ys], ".-" if shown else "-", lw=1.2 if shown else 0.6, ms=4,
                 color=colours[i] if shown else "#cccccc", label=case if shown else None, zorder=2 if shown else 1)
        if shown:
            for at in change_points(ys, LEAST):
                top.axvline(xs[at] - 0.5, color=colours[i], lw=0.8, ls=":")
    top.axhline(0, color="#888888", lw=0.7)
    top.set_ylabel(f"time against {base[:10]}, %")
    top.legend(ncols=2, fontsize=8)
    changed = [0] + [counters_changed(a["counters"], b["counters"]) for a, b in zip(records, records[1:])]
    bottom.bar(range(len(records)), changed, color=style.BLUE, width=0.6)
    bottom.set_ylabel("counters changed")
    bottom.set_xticks(range(len(records)), [r["commit"][:7] for r in records], rotation=90, fontsize=7)
    style.footer(figure, [{"provenance": {**records[-1]["provenance"], "git_commit": records[-1]["commit"]}}])
    style.save(figure, o.out)


if __name__ == "__main__":
    main()
