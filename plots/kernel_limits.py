# SPDX-License-Identifier: Apache-2.0
"""How near every kernel and every index search comes to what its CPU level can read or multiply.

usage: kernel_limits.py OUT RECORDS.jsonl ...     (records of experiments/kernels)
"""
import sys

import style

LEVELS = {"scalar": style.ORANGE, "avx2": style.SKY, "avx512": style.BLUE, "amx": style.RED}
LEAST = 0.008


def main(out, paths):
    records = style.read(paths, "limits")
    cases = list(dict.fromkeys(r["config"]["case"] for r in records))
    half = (len(cases) + 1) // 2
    figure, axes = style.plt.subplots(1, 2, figsize=(9.6, 0.155 * half + 1.2), sharex=True)
    for axis, part in zip(axes, (cases[:half], cases[half:])):
        for y, case in enumerate(part):
            shares = []
            for r in records:
                if r["config"]["case"] != case:
                    continue
                share = max(LEAST, r["metrics"]["limit_frac"])
                shares.append(share)
                colour = LEVELS[r["config"]["level"]]
                axis.plot(share, y, "s" if r["limit"] == "products" else "o", color=colour, markersize=4.5, zorder=3)
            axis.plot([min(shares), max(shares)], [y, y], color="#cccccc", linewidth=0.8, zorder=2)
        axis.axvline(1, color=style.BLACK, linewidth=0.9)
        axis.set(xscale="log", xlim=(LEAST, 2.2), ylim=(half - 0.4, -0.6), xlabel="share of the limit")
        axis.set_xticks([0.01, 0.03, 0.1, 0.3, 1], ["1 %", "3 %", "10 %", "30 %", "100 %"], fontsize=7.5)
        axis.set_yticks(range(len(part)), part, fontsize=6.5)
        axis.minorticks_off()
    for level, colour in LEVELS.items():
        if any(r["config"]["level"] == level for r in records):
            axes[0].plot([], [], "o", color=colour, markersize=4.5, label=level)
    axes[0].plot([], [], "o", color="#888888", markersize=4.5, label="reads are the limit")
    axes[0].plot([], [], "s", color="#888888", markersize=4.5, label="products are the limit")
    for axis in axes:
        axis.set_title(" ")  # the room of the legend, which spans both
    axes[0].legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=6, fontsize=7.5).set_in_layout(False)
    figure.suptitle("One thread, data in cache: what a level can read or multiply is 100 %", fontsize=10)
    style.footer(figure, sorted(records, key=lambda r: list(LEVELS).index(r["provenance"]["isa"]), reverse=True))
    style.save(figure, out)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    main(sys.argv[1], sys.argv[2:])
