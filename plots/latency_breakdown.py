# SPDX-License-Identifier: Apache-2.0
"""Where the time of a decoded token goes, per mode and context (paper, Table 5).

usage: latency_breakdown.py OUT RECORDS.jsonl ...     (records of `ra-bench decode`)
"""
import sys

import style

PARTS = (  # label, fields, colour
    ("retrieval", ("search_ms", "gather_ms"), style.RED),
    ("attention", ("static_ms", "merge_ms"), style.ORANGE),
    ("weights (QKV, output, FFN, head)", ("qkv_ms", "proj_ms", "ffn_ms", "head_ms"), style.SKY),
    ("other", ("other_ms",), "#bbbbbb"),
)


def merged(records):
    """One record for each configuration, its numbers the mean over those that have it."""
    same = {}
    for r in records:
        same.setdefault((r["config"]["context"], r["config"]["mode"], r["config"]["index"]), []).append(r)
    mean = lambda values: sum(values) / len(values)
    fields = [f for _, names, _ in PARTS for f in names] + ["decode_ms", "same_top1_frac"]
    return [{**rs[0], "metrics": {f: mean([r["metrics"][f] for r in rs]) for f in fields},
             "p95": mean([r["percentiles"]["decode_ms"]["p95"] for r in rs])} for rs in same.values()]


def name_of(record, records):
    """The mode, and its index where others of the mode have another one."""
    mode, index = record["config"]["mode"], record["config"]["index"]
    several = any(r["config"]["mode"] == mode and r["config"]["index"] != index for r in records)
    return f"{mode}\n{index}" if several else mode


def main(out, paths):
    records = merged(style.read(paths, "decode"))
    contexts = sorted({r["config"]["context"] for r in records})
    figure, axes = style.plt.subplots(len(contexts), 1, figsize=(6.4, 1.2 + 0.34 * len(records)), sharex=True,
                                      squeeze=False)
    longest = max(r["metrics"]["decode_ms"] for r in records)
    for ax, context in zip(axes[:, 0], contexts):
        rows = [r for r in records if r["config"]["context"] == context]
        names = [name_of(r, records) for r in rows]
        left = [0.0] * len(rows)
        for label, fields, colour in PARTS:
            widths = [sum(r["metrics"][f] for f in fields) for r in rows]
            ax.barh(names, widths, left=left, color=colour, label=label, height=0.7)
            left = [a + b for a, b in zip(left, widths)]
        for y, r in enumerate(rows):
            m = r["metrics"]
            ax.text(left[y], y, f" {left[y]:.1f} ms  ({100 * m['same_top1_frac']:.0f}% same top-1)", va="center",
                    fontsize=7.5)
            p95 = r["p95"]
            ax.plot([left[y], p95], [y - 0.38] * 2, color=style.BLACK, linewidth=0.8)
        ax.invert_yaxis()
        ax.grid(axis="y", visible=False)
        ax.set(title=f"context {context:,}", xlim=(0, longest * 1.42))
    axes[-1][0].set_xlabel("ms per token (median; thin line: to p95)")
    # Below the label of the axis, whatever the height of the last axes.
    axes[-1][0].legend(loc="upper center", bbox_to_anchor=(0.4, -1.4 / len(names)), ncols=len(PARTS), fontsize=7.5)
    figure.suptitle("Decode latency by mode", fontsize=11.5)
    style.footer(figure, records)
    style.save(figure, out)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    main(sys.argv[1], sys.argv[2:])
