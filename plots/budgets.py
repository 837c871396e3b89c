# SPDX-License-Identifier: Apache-2.0
"""What an attended key buys: output error and attention mass against the keys that a query head reads.

usage: budgets.py OUT RECORDS.jsonl ...     (records of `ra-bench attention`, one context)

Means over layers. Left, how many keys and which: exact search, and what changes it. Right, whole modes against all bytes they
read: search, K and V rows, cells.
"""
import sys

import numpy as np

import style

# What a record is, the first that fits: name, colour, marker, line.
KINDS = [("measured k", style.GREEN, "^", "-", lambda c: c["mode"] == "knn" and c.get("budget") == "measured"),
         ("top-p of 400", style.SKY, "s", "--", lambda c: c["mode"] == "knn" and "top_p" in c),
         ("range of 400", style.PURPLE, "D", "--", lambda c: c["mode"] == "knn" and "range" in c),
         ("exact top k", style.BLACK, "o", "-", lambda c: c["mode"] == "knn"),
         ("exact top k and tail", style.ORANGE, "o", "-", lambda c: c["mode"] == "tail" and c["index"].startswith("flat")),
         ("tail", style.RED, "o", "-", lambda c: c["mode"] == "tail"),
         ("group, by share, rest estimated", style.GREEN, "^", "-", lambda c: "rest" in c),
         ("group, by share", style.ORANGE, "^", "--", lambda c: "share" in c),
         ("group, top k of each head", style.SKY, "s", "--", lambda c: c["mode"] == "retrieval" and "select" in c),
         ("retrieval", style.BLUE, "o", "-", lambda c: c["mode"] == "retrieval"),
         ("pages", style.PURPLE, "v", "-", lambda c: c["mode"] == "pages")]
LEFT = {"exact top k", "measured k", "top-p of 400", "range of 400", "exact top k and tail"}
RIGHT = {"retrieval", "group, by share, rest estimated", "group, by share", "group, top k of each head", "tail", "pages"}


def kind(config):
    return next((k[0] for k in KINDS if k[4](config)), None)


def points(records, name, x):
    """(x, error, mass) of each setting, means over layers, by rising x."""
    settings = {}
    for r in records:
        if kind(r["config"]) == name:
            key = tuple(r["config"].get(f) for f in ("k", "top_p", "range", "share"))
            settings.setdefault(key, []).append([r["metrics"][m] for m in (x, "output_rel_l2", "mass_all_frac")])
    return np.array(sorted(np.mean(v, axis=0).tolist() for v in settings.values()))


def main():
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    records = style.read(sys.argv[2:], "attention")
    contexts = {r["config"]["context"] for r in records}
    if len(contexts) != 1:
        raise SystemExit(f"one context a figure; there are {sorted(contexts)}")
    figure, axes = style.plt.subplots(1, 2, figsize=(9.6, 4.2), sharey=True)
    for panel, names, x, title in ((axes[0], LEFT, "attended_mean", "keys attended per query head, exact search"),
                                   (axes[1], RIGHT, "work_bytes", "MB read per token and layer, static set included")):
        for name, colour, marker, line, _ in KINDS:
            if name in names and len(found := points(records, name, x)):
                panel.plot(found[:, 0] / (1e6 if x == "work_bytes" else 1), found[:, 1], color=colour, marker=marker,
                           markersize=4, linestyle=line, label=name)
        panel.set(xscale="log", yscale="log", xlabel=title)
        panel.legend()
    axes[0].set_ylabel("relative L2 error of the output")
    layers = len({r["config"]["layer"] for r in records})
    figure.suptitle(f"{contexts.pop()} tokens, {layers} layers, all heads", fontsize=11.5)
    style.footer(figure, records)
    style.save(figure, sys.argv[1])


if __name__ == "__main__":
    main()
