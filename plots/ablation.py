# SPDX-License-Identifier: Apache-2.0
"""Recall against work with one choice changed at a time: a panel for each file of records.

usage: ablation.py OUT RECORDS.jsonl ...     (records of `ra-recall curve`; the file's name is the panel's title)

Lines of a panel are told apart by whatever differs in it: index, k, number and choice of training queries.
"""
import collections
import pathlib
import sys

import numpy as np

import style

COLOURS = [style.RED, style.BLUE, style.GREEN, style.ORANGE, style.PURPLE, style.SKY, style.BLACK]
FAMILIES = {"ivf": ":", "hnsw": "--", "roar": "-.", "qivf": "-", "qgraph": "-"}


def lines(records):
    """label -> arrays: shares scanned, recalls; means over heads, by work."""
    fields = [f for f in ("k", "n_train", "train_pick") if len({r["config"].get(f) for r in records} - {0}) > 1]
    runs = collections.defaultdict(lambda: collections.defaultdict(list))
    for r in records:
        c = r["config"]
        if not c["index"].startswith("flat"):
            more = tuple(c.get(f, "") for f in fields)
            runs[(c["index"], *more)][c["search"]].append(r["metrics"])
    named = {(index.partition(":")[0], ", ".join([index, *(f"{f}={v}" for f, v in zip(fields, more) if v != "")])): efforts
             for (index, *more), efforts in sorted(runs.items(), key=lambda run: [str(v).zfill(9) for v in run[0]])}
    return {key: np.array(sorted((np.mean([m["scanned_frac"] for m in ms]), np.mean([m["recall_id"] for m in ms])) for ms in efforts.values())).T
            for key, efforts in named.items()}


def panel(axes, records, title):
    drawn = collections.Counter()
    for (family, label), (scanned, recall) in lines(records).items():
        colour = COLOURS[drawn[family] % len(COLOURS)]
        axes.plot(100 * scanned, recall, FAMILIES.get(family, "-"), color=colour, marker="o" if family.startswith("q") else "s",
                  markersize=3, linewidth=1.2, label=style.short(label, 60))
        drawn[family] += 1
    axes.set(xscale="log", xlabel="keys scanned, %", title=title)
    axes.set_xticks([1, 2, 5, 10, 20, 50], ["1", "2", "5", "10", "20", "50"])
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=6)


def main(out, paths):
    figure, axes = style.plt.subplots((len(paths) + 1) // 2, 2, figsize=(14, 4.4 * ((len(paths) + 1) // 2)), squeeze=False)
    for ax, path in zip(axes.flat, paths):
        records = style.read([path], "recall")
        panel(ax, records, pathlib.Path(path).stem)
        ax.set_ylabel("recall, mean over heads")
    for ax in list(axes.flat)[len(paths):]:
        ax.remove()
    style.footer(figure, records)
    style.save(figure, out)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    main(sys.argv[1], sys.argv[2:])
