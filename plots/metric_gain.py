# SPDX-License-Identifier: Apache-2.0
"""What the query metric gains in recall at equal work, head by head and layer by layer.

usage: metric_gain.py OUT RECORDS.jsonl ...     (records of `ra-recall curve`, a panel for each file)

An index with metric=query against the same one without queries, in the middle of the shares of keys that both scan.
"""
import pathlib
import sys

import numpy as np

import curves
import style

PAIRS = [("ivf", "ivf", "ivf:metric=query", style.RED, "o"), ("ivf, own head's metric", "ivf", "ivf:metric=query,share=head", style.ORANGE, "D"),
         ("hnsw, lifted", "hnsw:metric=lift", "hnsw:metric=query", style.BLUE, "s"), ("qivf", "qivf:metric=raw", "qivf", style.GREEN, "^")]


def panel(axes, records, title):
    runs = curves.by_index(records)
    drawn = [(name, curves.gains(runs[base], runs[query]), colour, marker) for name, base, query, colour, marker in PAIRS
             if base in runs and query in runs]
    layers = sorted({layer for _, gains, *_ in drawn for layer, _ in gains})
    for number, (name, gains, colour, marker) in enumerate(drawn):
        x = [layers.index(layer) + 0.22 * (number - (len(drawn) - 1) / 2) for layer, _ in gains]
        values = np.array(list(gains.values()))
        axes.plot(x, values, marker, color=colour, markersize=4, alpha=0.75,
                  label=f"{name}: mean {values.mean():+.3f}, {np.mean(values > 0):.0%} of heads gain")
    axes.axhline(0, color="#555555", linewidth=0.8)
    axes.set_xticks(range(0, len(layers), max(1, len(layers) // 10)), layers[::max(1, len(layers) // 10)])
    axes.set(xlabel="layer", title=title)
    axes.legend(loc="best", fontsize=8)


def main(out, paths):
    figure, axes = style.plt.subplots(1, len(paths), figsize=(5.2 * len(paths), 3.9), sharey=True, squeeze=False)
    for ax, path in zip(axes[0], paths):
        records = style.read([path], "recall")
        first = records[0]["config"]
        panel(ax, records, f"{pathlib.Path(path).stem}: top {first['k']} of {first['n_keys']:,} keys")
    axes[0][0].set_ylabel("recall gained by metric=query at equal work")
    style.footer(figure, records)
    style.save(figure, out)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    main(sys.argv[1], sys.argv[2:])
