# SPDX-License-Identifier: Apache-2.0
"""Recall@k against the share of keys scanned (paper, Figures 3a and 6): Q->K beside K->K.

usage: recall_curve.py OUT RECORDS.jsonl ...     (records of `ra-recall curve`)
"""
import collections
import sys

import numpy as np

import style

STYLES = {  # index and metric: colour, line, marker
    ("ivf", "raw"): (style.ORANGE, "--", "s"), ("ivf", "query"): (style.ORANGE, "-", "s"),
    ("hnsw", "raw"): (style.SKY, ":", "^"), ("hnsw", "lift"): (style.SKY, "--", "^"),
    ("hnsw", "query"): (style.SKY, "-", "^"),
    ("roar", "raw"): (style.RED, ":", "o"), ("roar", "lift"): (style.RED, "--", "o"),
    ("roar", "query"): (style.RED, "-", "o"),
}


def params_of(spec):
    return dict(p.split("=", 1) for p in spec.partition(":")[2].split(",") if "=" in p)


def metric_of(spec):
    return params_of(spec).get("metric", "raw")


def labels(specs):
    """index text -> "name, metric", with what else tells it from its namesakes."""
    kinds = collections.defaultdict(list)
    for spec in specs:
        kinds[spec.partition(":")[0], metric_of(spec)].append(spec)
    out = {}
    for (name, metric), same in kinds.items():
        for spec in same:
            own = [f"{k}={v}" for k, v in params_of(spec).items()
                   if any(params_of(other).get(k) != v for other in same)]
            out[spec] = ", ".join([name, metric, *own])
    return out


def points(records):
    """index text -> arrays over the effort: scanned, mean recall, p10 and p90 over heads."""
    runs = collections.defaultdict(lambda: collections.defaultdict(list))
    for r in records:
        runs[r["config"]["index"]][r["config"]["search"]].append(r["metrics"])
    out = {}
    for index, efforts in runs.items():
        rows = []
        for metrics in efforts.values():
            recall = [m["recall_id"] for m in metrics]
            rows.append((np.mean([m["scanned_frac"] for m in metrics]), np.mean(recall),
                         np.quantile(recall, 0.1), np.quantile(recall, 0.9)))
        out[index] = np.array(sorted(rows)).T
    return out


def panel(axes, records, title):
    curves = points(records)
    label, drawn = labels(curves), collections.Counter()
    for index, (scanned, mean, low, high) in curves.items():
        name = index.partition(":")[0]
        if name == "flat":
            continue
        kind = name, metric_of(index)
        colour, line, marker = STYLES.get(kind, (style.BLACK, "-", "x"))
        axes.plot(100 * scanned, mean, line, color=colour, marker=marker, markersize=4,
                  markerfacecolor=(colour, "white", "none")[min(drawn[kind], 2)], label=label[index])
        drawn[kind] += 1
        if line == "-":
            axes.fill_between(100 * scanned, low, high, color=colour, alpha=0.12, linewidth=0)
    axes.axhline(0.95, color="#999999", linewidth=0.8, linestyle=(0, (1, 2)))
    axes.set(xscale="log", ylim=(0, 1.02), xlabel="keys scanned, % (every inner product counted)", title=title)
    axes.set_xticks([0.5, 1, 2, 5, 10, 20, 50, 100], ["0.5", "1", "2", "5", "10", "20", "50", "100"])
    axes.set_xlim(0.5, 105)


def main(out, paths):
    records = style.read(paths, "recall")
    first = records[0]["config"]
    sides = [(d, [r for r in records if r["config"]["direction"] == d]) for d in ("q_to_k", "k_to_k")]
    sides = [(d, rs) for d, rs in sides if rs]
    figure, axes = style.plt.subplots(1, len(sides), figsize=(4.6 * len(sides), 3.9), sharey=True, squeeze=False)
    for ax, (direction, rs) in zip(axes[0], sides):
        heads = len({(r["config"]["layer"], r["config"]["head"]) for r in rs})
        panel(ax, rs, ("queries find keys" if direction == "q_to_k" else "control: keys find keys")
              + f"  ({heads} heads)")
    axes[0][0].set_ylabel(f"recall@{first['k']}, mean over heads (band: p10 to p90)")
    axes[0][0].legend(loc="lower right", fontsize=8, title="index, build metric", title_fontsize=8)
    figure.suptitle(f"Finding the top {first['k']} of {first['n_keys']:,} keys", fontsize=11.5)
    style.footer(figure, records)
    style.save(figure, out)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    main(sys.argv[1], sys.argv[2:])
