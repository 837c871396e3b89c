# SPDX-License-Identifier: Apache-2.0
"""How many times farther from the keys queries lie than held-out keys, by layer, model and kind of text (paper, Figure 3b).

usage: ood_by_layer.py OUT MODEL-TEXT.jsonl ...     (records of `ra-recall ood`)
"""
import sys

import texts


def main(out, paths):
    found = texts.read(paths, "ood")
    figure, panels = texts.layer_panels(found, lambda r: r["metrics"]["mahalanobis_ratio"], yscale="log")
    for ax in panels:
        ax.axhline(1, color="#555555", linewidth=0.8)
        ax.axhline(10, color="#999999", linewidth=0.8, linestyle=(0, (1, 2)))
        ax.set_yticks([1, 2, 5, 10, 20, 50, 100, 500], ["1", "2", "5", "10", "20", "50", "100", "500"])
        ax.minorticks_off()
    panels[0].set_ylabel("Mahalanobis distance to the keys:\nqueries over held-out keys, medians")
    texts.save(figure, found, "Queries lie outside the distribution of the keys (a dot: a head; lines: medians over heads; dotted: 10 times)", out)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    main(sys.argv[1], sys.argv[2:])
