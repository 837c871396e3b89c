# SPDX-License-Identifier: Apache-2.0
"""Recall against work with one choice changed at a time: a row of panels for each file of records.

usage: ablation.py OUT RECORDS.jsonl ...     (records of `ra-recall curve`; the file's name is the row's title)

Where k or the training queries differ, a panel is an index and a colour a choice; otherwise a panel is a type of index
and a colour its metric. Colours mean the same along a row.
"""
import collections
import pathlib
import sys

import numpy as np

import style

COLOURS = [style.BLACK, style.ORANGE, style.SKY, style.GREEN, style.BLUE, style.RED, style.PURPLE]
FIELDS = ("k", "n_train", "train_pick")
METRIC = {"qivf": "query", "qgraph": "group"}  # where the text names none; else raw


def metric_of(index):
    params = dict(p.split("=", 1) for p in index.partition(":")[2].split(",") if "=" in p)
    own = ", own head's" if params.get("share") == "head" else ""
    return params.get("metric", METRIC.get(index.partition(":")[0], "raw")) + own


def panels(records):
    """title of a panel -> (colour's choice, line's choice) -> arrays: shares scanned, recalls; means over heads, by work."""
    records = [r for r in records if not r["config"]["index"].startswith("flat")]
    varied = [f for f in FIELDS if len({r["config"].get(f) for r in records} - {0}) > 1]
    runs = collections.defaultdict(lambda: collections.defaultdict(lambda: collections.defaultdict(list)))
    for r in records:
        c = r["config"]
        index = c["index"]
        if varied:
            choice = next((f, c[f]) for f in varied if f in c), c.get("train_pick", "")
        else:
            choice = ("metric", metric_of(index)), ""
        runs[index if varied else index.partition(":")[0]][choice][c["search"]].append(r["metrics"])
    mean = lambda ms, name: np.mean([m[name] for m in ms])
    return {title: {choice: np.array(sorted((mean(ms, "scanned_frac"), mean(ms, "recall_id")) for ms in efforts.values())).T
                    for choice, efforts in lines.items()}
            for title, lines in runs.items()}


def row(axes, found, title):
    choices = sorted({colour for lines in found.values() for colour, _ in lines})
    colour_of = dict(zip(choices, COLOURS))
    for ax, (name, lines) in zip(axes, found.items()):
        for (choice, pick), (scanned, recall) in sorted(lines.items()):
            ax.plot(100 * scanned, recall, "--" if pick else "-", color=colour_of[choice], marker="o", markersize=3.5, linewidth=1.3,
                    markerfacecolor="white" if pick else colour_of[choice], label=f"{choice[1]}, {pick}" if pick else choice[1])
        ax.set(xscale="log", xlabel="keys scanned, %", title=style.short(name, 30), xlim=(1, 30), ylim=(0.25, 1.02))
        ax.set_xticks([1, 2, 5, 10, 20], ["1", "2", "5", "10", "20"])
        ax.minorticks_off()
        ax.legend(loc="lower right", fontsize=6.5, title=choices[0][0], title_fontsize=6.5)
    axes[0].set_ylabel(f"{title}\n\nrecall, mean over heads")
    for ax in axes[len(found):]:
        ax.remove()


def main(out, paths):
    files = [(pathlib.Path(p).stem, style.read([p], "recall")) for p in paths]
    rows = [(title, panels(records)) for title, records in files]
    columns = max(len(found) for _, found in rows)
    figure, axes = style.plt.subplots(len(rows), columns, figsize=(2.7 * columns, 3.1 * len(rows)), squeeze=False, sharey=True)
    for line, (title, found) in zip(axes, rows):
        row(line, found, title)
    style.footer(figure, files[0][1])
    style.save(figure, out)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    main(sys.argv[1], sys.argv[2:])
