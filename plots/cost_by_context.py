# SPDX-License-Identifier: Apache-2.0
"""What attention of one token and layer costs as the context grows, and what each mode keeps of it.

usage: cost_by_context.py OUT RECORDS.jsonl ...     (records of `ra-bench attention` at several contexts)

Medians over queries, means over the layers measured at that context. Log axes; the dotted line grows with the context.
"""
import sys

import numpy as np

import style

MODES = {"full": style.BLACK, "knn": style.ORANGE, "ivf": style.GREEN, "hnsw": style.PURPLE, "retrieval": style.BLUE,
         "tail": style.RED, "streaming": style.SKY}


def by_context(records, mode, metric):
    """(contexts, means over layers)."""
    found = {}
    for r in records:
        if r["config"]["mode"] == mode:
            found.setdefault(r["config"]["context"], []).append(r["metrics"][metric])
    return sorted(found), [np.mean(found[c]) for c in sorted(found)]


def main():
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    records = style.read(sys.argv[2:], "attention")
    kinds = {r["config"]["synthetic"] for r in records}
    if len(kinds) != 1:
        raise SystemExit("synthetic and real contexts in one figure")
    synthetic = kinds.pop()
    figure, (cost, error) = style.plt.subplots(1, 2, figsize=(9.6, 4.2))
    for mode, colour in MODES.items():
        contexts, ms = by_context(records, mode, "attention_ms")
        if not contexts:
            continue
        cost.plot(contexts, ms, color=colour, marker="o", markersize=4, label=mode)
        if mode == "full":
            cost.plot(contexts, [ms[0] * c / contexts[0] for c in contexts], color="#999999", linewidth=0.8, linestyle=":")
        else:
            error.plot(*by_context(records, mode, "output_rel_l2"), color=colour, marker="o", markersize=4, label=mode)
    ticks = sorted({r["config"]["context"] for r in records})
    for panel in (cost, error):
        panel.set(xscale="log", yscale="log" if panel is not error else "linear", xlabel="synthetic context, tokens" if synthetic else "context, tokens")
        panel.set_xticks(ticks, [f"{t // 1024}K" if t < 1 << 20 else f"{t >> 20}M" for t in ticks])
        panel.minorticks_off()
    cost.set_ylabel("ms per token and layer (median)")
    error.set_ylabel("relative L2 error of the output")
    cost.legend()
    figure.suptitle(("Synthetic contexts" if synthetic else "Contexts") + ": attention of one token and layer", fontsize=11.5)
    style.footer(figure, records)
    style.save(figure, sys.argv[1])


if __name__ == "__main__":
    main()
