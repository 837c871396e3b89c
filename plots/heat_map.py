# SPDX-License-Identifier: Apache-2.0
"""Layer x head: recall at one effort of each index, and the share of keys it scans for a recall of TARGET.

usage: heat_map.py OUT RECORDS.jsonl ... [--target 0.95] [--index TEXT ...]     (records of `ra-recall curve`)

The effort of the left column is the least whose mean over heads reaches the target. A head that no effort of the
run brings there is hatched on the right.
"""
import numpy as np

import curves
import style


def grid(values):
    """(layer, head) -> value as a matrix [layers, heads] with NaN where there is none."""
    layers, heads = sorted({l for l, _ in values}), sorted({h for _, h in values})
    out = np.full((len(layers), len(heads)), np.nan)
    for (layer, head), value in values.items():
        out[layers.index(layer), heads.index(head)] = value
    return out, layers, heads


def scanned_at(efforts, target):
    """(layer, head) -> the least share of keys scanned, in %, with recall of at least `target`; NaN if never."""
    out = {}
    for records in efforts.values():
        for head, (scanned, recall) in curves.by_head(records).items():
            out[head] = np.fmin(out.get(head, np.nan), 100 * scanned if recall >= target else np.nan)
    return out


def ticks(axes, layers, heads):
    step = lambda n: max(1, n // 8)
    axes.set_xticks(range(0, len(heads), step(len(heads))), heads[::step(len(heads))])
    axes.set_yticks(range(0, len(layers), step(len(layers))), layers[::step(len(layers))])
    axes.set(xlabel="query head", ylabel="layer")
    axes.grid(False)


def draw(figure, axes, values, label, **how):
    matrix, layers, heads = grid(values)
    axes.set_facecolor("#f4f4f4")
    image = axes.imshow(matrix, aspect="auto", interpolation="nearest", **how)
    for y, x in zip(*np.nonzero(np.isnan(matrix))):
        axes.add_patch(style.plt.Rectangle((x - 0.5, y - 0.5), 1, 1, fill=False, hatch="////", edgecolor="#bbbbbb", linewidth=0))
    ticks(axes, layers, heads)
    figure.colorbar(image, ax=axes, label=label, shrink=0.9)
    return matrix


def main():
    options = curves.arguments(__doc__)
    records = style.read(options.records, "recall")
    runs = curves.by_index(records)
    chosen = options.index or [i for i in runs if i.partition(":")[0] != "flat"]
    if missing := [i for i in chosen if i not in runs]:
        raise SystemExit(f"no records of index {', '.join(missing)}; there are {', '.join(runs)}")
    scanned = {i: scanned_at(runs[i], options.target) for i in chosen}
    most = max((v for s in scanned.values() for v in s.values() if not np.isnan(v)), default=100)
    figure, axes = style.plt.subplots(len(chosen), 2, figsize=(9.2, 0.6 + 3.4 * len(chosen)), squeeze=False)
    for (left, right), index in zip(axes, chosen):
        search = curves.effort_at(runs[index], options.target)
        at = runs[index][search]
        recall = {head: found for head, (_, found) in curves.by_head(at).items()}
        low = min(recall.values())
        draw(figure, left, recall, "recall", cmap="cividis", vmin=min(0.8, low), vmax=1)
        left.set_title(f"{style.short(index)} {search}\nmean {np.mean(list(recall.values())):.3f}, worst {low:.3f}, "
                       f"{100 * curves.mean(at, 'scanned_frac'):.1f} % scanned", fontsize=9)
        matrix = draw(figure, right, scanned[index], "% of keys", cmap="cividis_r", vmin=0, vmax=most)
        never = int(np.isnan(matrix).sum())
        right.set_title(f"scanned for recall ≥ {options.target:g}\n" + (f"never: {never} of {matrix.size} heads" if never else
                        f"mean {np.nanmean(matrix):.1f} %, worst {np.nanmax(matrix):.1f} %"), fontsize=9)
    first = records[0]["config"]
    figure.suptitle(f"Finding the top {first['k']} of {first['n_keys']:,} keys, head by head", fontsize=11.5)
    style.footer(figure, records)
    style.save(figure, options.out)


if __name__ == "__main__":
    main()
