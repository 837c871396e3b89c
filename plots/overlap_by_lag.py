# SPDX-License-Identifier: Apache-2.0
"""How fast the set of top keys changes from step to step, and what attention loses that keeps an earlier one.

usage: overlap_by_lag.py OUT MODEL-TEXT.jsonl ...     (records of `ra-recall overlap`)

Medians over heads; the band goes from the 10th to the 90th percentile of heads, all texts pooled.
"""
import sys

import numpy as np

import style
import texts

ROWS = [("overlap_frac", "of the top 100 of a query, % that are in\nthe top 100 of the query N steps before"),
        ("mass_ratio", "mass that the set of N steps before holds,\n% of what the own one does")]


def curves(records, field):
    """(lags, [head, lag])"""
    lags = records[0]["by_lag"]["lag"]
    return lags, 100 * np.array([r["by_lag"][field] for r in records])


def main(out, paths):
    found = texts.read(paths, "overlap")
    figure, axes = style.plt.subplots(2, len(found), figsize=(4.2 * len(found), 6.6), sharex=True, sharey="row", squeeze=False)
    for column, (model, of_text) in enumerate(found.items()):
        for ax, (field, _) in zip(axes[:, column], ROWS):
            for text, records in of_text.items():
                label, colour, marker = texts.TEXTS[text]
                lags, shares = curves(records, field)
                ax.plot(lags, np.median(shares, axis=0), "-", color=colour, marker=marker, markersize=4, linewidth=1.2, label=label)
            low, high = np.quantile(np.concatenate([curves(records, field)[1] for records in of_text.values()]), [0.1, 0.9], axis=0)
            ax.fill_between(lags, low, high, color="#888888", alpha=0.15, linewidth=0)
            ax.set(xscale="log", ylim=(0, 102))
            ax.set_xticks(lags, lags)
            ax.minorticks_off()
        first = next(iter(of_text.values()))[0]["config"]
        chance = 100 * first["k"] / first["n_keys"]
        axes[0][column].axhline(chance, color="#555555", linewidth=0.8, linestyle=(0, (1, 2)))
        axes[0][column].text(lags[0], chance + 1.5, "chance", fontsize=7.5, color="#555555")
        axes[0][column].set_title(texts.MODELS[model])
        axes[1][column].set_xlabel("N, steps")
    for ax, (_, label) in zip(axes[:, 0], ROWS):
        ax.set_ylabel(label)
    axes[1][0].legend(fontsize=8, loc="lower left")
    texts.save(figure, found, "The keys that matter change from step to step (medians over heads; band: 10th to 90th percentile, all texts)", out)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    main(sys.argv[1], sys.argv[2:])
