# SPDX-License-Identifier: Apache-2.0
"""What an index finds while decoding goes on: recall of old and of new keys, mass and scanned share by position.

usage: growth.py OUT RECORDS.jsonl ...     (records of `ra-recall growth`, one index)

Means over layers; a line for each way to grow.
"""
import sys

import numpy as np

import style

WAYS = {"never": (style.BLACK, ":"), "flushed": (style.BLUE, "-"), "rebuilt": (style.RED, "--")}
PANELS = [("recall_old", "recall of the prompt's keys"), ("recall_new", "recall of decoded keys"),
          ("mass_all_frac", "attention mass, with sink and window"), ("scanned_frac", "share of keys scored")]


def by_position(records, field):
    """Mean over records at each position."""
    points = {}
    for r in records:
        s = r["samples"]
        for position, value in zip(s["position_new" if field == "recall_new" else "position"][0], s[field][0]):
            points.setdefault(position, []).append(value)
    return sorted(points), [np.mean(points[p]) for p in sorted(points)]


def smooth(values, width=9):
    """Running mean; the keys one query wants differ from those of the next."""
    half = width // 2
    return [np.mean(values[max(0, i - half):i + half + 1]) for i in range(len(values))]


def main():
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    records = style.read(sys.argv[2:], "growth")
    indexes = {(r["config"]["index"], r["config"]["search"]) for r in records}
    if len(indexes) != 1:
        raise SystemExit(f"one index a figure; there are {sorted(indexes)}")
    figure, axes = style.plt.subplots(2, 2, figsize=(9.2, 6.2), sharex=True)
    for (field, title), panel in zip(PANELS, axes.flat):
        for way, (colour, dash) in WAYS.items():
            if of_way := [r for r in records if r["config"]["growth"] == way]:
                x, y = by_position(of_way, field)
                panel.plot(x, smooth(y), color=colour, linestyle=dash, linewidth=1.6, label=way)
        panel.set_title(title)
    config = records[0]["config"]
    first = min(records[0]["samples"]["position"][0])
    for panel in axes.flat:
        for at in np.arange(first + config["flush"], first + config["decoded"], config["flush"]):
            panel.axvline(at, color="#999999", linewidth=0.8, linestyle=(0, (1, 2)))
    for panel in axes[1]:
        panel.set_xlabel("position decoded (dotted: a flush)")
    axes[1][1].legend(loc="upper left", title="keys that leave the window\nenter the index")
    layers = len({r["config"]["layer"] for r in records})
    figure.suptitle(f"{style.short(config['index'])} {config['search']}: top {config['k']}, {layers} layers, all heads", fontsize=11.5)
    style.footer(figure, records)
    style.save(figure, sys.argv[1])


if __name__ == "__main__":
    main()
