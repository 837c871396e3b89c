# SPDX-License-Identifier: Apache-2.0
"""How many keys hold the attention as the context grows, and what the top 1 % hold, chosen for each query or once (paper, Figure 2).

usage: sparsity_by_context.py OUT MODEL.jsonl ...     (records of `ra-recall sparsity` at several contexts)

Medians over heads; bands (of the counts: for 90 %) go from the 10th to the 90th percentile of heads.
"""
import pathlib
import sys

import numpy as np

import style
import texts

COUNTS = [("k_for_99", "99 %", style.RED, "D"), ("k_for_95", "95 %", style.ORANGE, "^"), ("k_for_90", "90 %", style.BLUE, "o"), ("k_for_50", "50 %", style.SKY, "s")]
SHARES = [("recovery_dynamic_frac", "chosen for each query", style.BLUE, "o"), ("recovery_static_frac", "of the first query, kept", style.ORANGE, "s")]


def draw(ax, records, name, label, colour, marker, scale=1, band=True):
    contexts = sorted({r["config"]["n_keys"] for r in records})
    low, middle, high = np.array([np.quantile([scale * r["metrics"][name] for r in records if r["config"]["n_keys"] == n], [0.1, 0.5, 0.9])
                                  for n in contexts]).T
    ax.plot(contexts, middle, "-", color=colour, marker=marker, markersize=4, label=label)
    if band:
        ax.fill_between(contexts, low, high, color=colour, alpha=0.12, linewidth=0)


def main(out, paths):
    files = {pathlib.Path(p).stem: style.read([p], "sparsity") for p in paths}
    models = [m for m in texts.MODELS if m in files]
    figure, axes = style.plt.subplots(2, len(models), figsize=(4.2 * len(models), 6.4), sharey="row", sharex="col", squeeze=False)
    for (counts, shares), model in zip(axes.T, models):
        records = files[model]
        for name, label, colour, marker in COUNTS:
            draw(counts, records, name, label, colour, marker, band=name == "k_for_90")
        for name, label, colour, marker in SHARES:
            draw(shares, records, name, label, colour, marker, 100)
        ticks = sorted({r["config"]["n_keys"] for r in records})
        counts.plot(ticks, [n / 100 for n in ticks], color="#777777", linewidth=0.9, linestyle=(0, (1, 2)), label="1 % of the keys")
        counts.set(xscale="log", yscale="log", ylim=(1, 2e4), title=texts.MODELS[model])
        shares.set(xscale="log", xlabel="keys of the prompt", ylim=(0, 102))
        shares.set_xticks(ticks, [f"{n:,}" for n in ticks], fontsize=7.5)
        for ax in (counts, shares):
            ax.minorticks_off()
    axes[0][0].set_ylabel("keys that hold a share of the mass")
    axes[0][0].legend(fontsize=8, ncol=2, loc="upper left")
    axes[1][0].set_ylabel("mass of the top 1 % of the keys, %")
    axes[1][0].legend(fontsize=8, loc="lower right")
    figure.suptitle("Queries of generated tokens, all keys of the prompt (medians over heads; bands: 10th to 90th percentile)", fontsize=11)
    style.footer(figure, files[models[0]])
    style.save(figure, out)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    main(sys.argv[1], sys.argv[2:])
