# SPDX-License-Identifier: Apache-2.0
"""Attention of a decoded token layer by layer: when both sources ran, and which waited for the other.

usage: layers.py OUT RECORDS.jsonl ...     (records of `ra-bench decode --per-layer`)
"""
import sys

import style

PARTS = (  # label, of a layer, colour
    ("both under way", lambda l: l["overlap_ms"], style.GREEN),
    ("static set waits for retrieval", lambda l: l["static_wait_ms"], style.RED),
    ("retrieval waits for static set", lambda l: l["search_wait_ms"], style.ORANGE),
    ("merge", lambda l: l["merge_ms"], style.SKY),
)


def main(out, paths):
    records = [r for r in style.read(paths, "decode") if r.get("layers") and r["config"]["index"]]
    if not records:
        raise SystemExit("no record of a mode with an index has layers (--per-layer)")
    figure, axes = style.plt.subplots(len(records), 1, figsize=(6.4, 0.6 + 1.7 * len(records)), sharex=True, sharey=True,
                                      squeeze=False)
    for ax, r in zip(axes[:, 0], records):
        layers, c = r["layers"], r["config"]
        bottom = [0.0] * len(layers)
        for label, part, colour in PARTS:
            heights = [part(l) for l in layers]
            ax.bar(range(len(layers)), heights, bottom=bottom, color=colour, label=label, width=0.8)
            bottom = [a + b for a, b in zip(bottom, heights)]
        ax.plot(range(len(layers)), [l["attend_ms"] for l in layers], ".", color=style.BLACK, label="attention, all of it")
        ax.set_title(style.short(f"{c['mode']} {c['index']}, {c['context']} tokens, {c.get('schedule', 'parallel')}"),
                     loc="left", fontsize=9)
        ax.set_ylabel("ms a token")
    axes[-1, 0].set_xlabel("layer")
    axes[0, 0].legend(fontsize=7, ncol=2)
    style.footer(figure, records)
    style.save(figure, out)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    main(sys.argv[1], sys.argv[2:])
