# SPDX-License-Identifier: Apache-2.0
"""Histograms of the Mahalanobis distance of queries and of held-out keys to the keys (paper, Figure 3b).

usage: mahalanobis.py OUT RECORDS.jsonl ...     (records of `ra-recall ood`)
"""
import sys

import numpy as np

import style


def main(out, paths):
    records = style.read(paths, "ood")
    layers = sorted({r["config"]["layer"] for r in records})
    shown = layers if len(layers) <= 6 else [layers[i * (len(layers) - 1) // 5] for i in range(6)]
    columns = min(3, len(shown))
    rows = -(-len(shown) // columns)
    figure, axes = style.plt.subplots(rows, columns, figsize=(3.1 * columns, 2.3 * rows + 0.5), squeeze=False)
    for ax, layer in zip(axes.flat, shown):
        of_layer = [r for r in records if r["config"]["layer"] == layer]
        keys = np.concatenate([np.ravel(r["samples"]["mahalanobis_k"]) for r in of_layer])
        queries = np.concatenate([np.ravel(r["samples"]["mahalanobis_q"]) for r in of_layer])
        bins = np.linspace(0, np.quantile(queries, 0.995) * 1.05, 60)
        for values, colour, label in ((keys, style.BLUE, "held-out keys"), (queries, style.ORANGE, "queries")):
            ax.hist(values, bins, density=True, color=colour, alpha=0.75, label=label)
            ax.axvline(np.median(values), color=colour, linewidth=1)
        ratio = np.median(queries) / np.median(keys)
        ax.set(title=f"layer {layer}: queries {ratio:.1f}x farther", yticks=[])
        ax.grid(False)
    for ax in list(axes.flat)[len(shown):]:
        ax.axis("off")
    axes[0][0].legend(fontsize=8)
    for ax in axes[-1]:
        ax.set_xlabel("Mahalanobis distance to the keys")
    figure.suptitle("Queries lie outside the distribution of the keys (all heads of a layer; lines: medians)",
                    fontsize=11.5)
    style.footer(figure, records)
    style.save(figure, out)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    main(sys.argv[1], sys.argv[2:])
