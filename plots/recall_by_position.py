# SPDX-License-Identifier: Apache-2.0
"""Recall over the position of the key, of the query and of the generated token, in tenths of their ranges, all heads pooled.

usage: recall_by_position.py OUT RECORDS.jsonl ... [--target 0.95] [--index TEXT ...]     (records of `ra-recall curve`)

Each index at the least effort whose mean recall reaches the target, or at its best. Bars: where the exact top k lie.
"""
import numpy as np

import curves
import style

LINES = [(style.RED, "o"), (style.BLUE, "s"), (style.GREEN, "^"), (style.ORANGE, "D"), (style.PURPLE, "v"),
         (style.SKY, "P"), (style.BLACK, "X")]


def by_key(records):
    found = sum(np.array(r["by_key_decile"]["found"]) for r in records)
    exact = sum(np.array(r["by_key_decile"]["exact"]) for r in records)
    return np.divide(found, exact, out=np.full(10, np.nan), where=exact > 0), exact / exact.sum()


def by_query(records):
    rows = [r["recall_by_query_decile"] for r in records if "recall_by_query_decile" in r]
    return np.mean(rows, axis=0) if rows else None


def main():
    options = curves.arguments(__doc__)
    records = [r for r in style.read(options.records, "recall") if "by_key_decile" in r]
    runs, decode = curves.by_index(records), curves.by_index(records, "decode")
    chosen = options.index or [i for i in runs if i.partition(":")[0] != "flat"]
    if not chosen or any(i not in runs for i in chosen):
        raise SystemExit(f"no records of these indexes; there are {', '.join(runs)}")
    generated = any("recall_by_query_decile" in r for efforts in decode.values() for rs in efforts.values() for r in rs)
    figure, (keys, queries, *tokens) = style.plt.subplots(1, 3 if generated else 2, figsize=(12.4 if generated else 9.2, 3.9), sharey=True)
    tenths = np.arange(10) + 0.5
    for index, (colour, marker) in zip(chosen, LINES):
        search = curves.effort_at(runs[index], options.target)
        at = runs[index][search]
        recall, share = by_key(at)
        label = f"{style.short(index)} {search} ({100 * curves.mean(at, 'scanned_frac'):.1f} %)"
        keys.plot(tenths, recall, color=colour, marker=marker, markersize=4, label=label)
        if (over := by_query(at)) is not None:
            queries.plot(tenths, over, color=colour, marker=marker, markersize=4)
        for axes in tokens:
            if (over := by_query(decode.get(index, {}).get(search, []))) is not None:
                axes.plot(tenths, over, color=colour, marker=marker, markersize=4)
    counts = keys.twinx()
    counts.bar(tenths, 100 * share, width=0.9, color="#dddddd", zorder=0)
    counts.set(ylim=(0, 100), ylabel="of the exact top k, %")
    counts.grid(False)
    counts.spines["right"].set_visible(True)
    keys.set_zorder(counts.get_zorder() + 1)
    keys.patch.set_visible(False)
    keys.set(xlabel="position of the key, tenths of the indexed range", ylabel="recall", xlim=(0, 10))
    queries.set(xlabel="test query of the prompt, tenths in order", xlim=(0, 10))
    for axes in tokens:
        axes.set(xlabel="generated token, tenths in order", xlim=(0, 10))
    for axes in (keys, queries, *tokens):
        axes.axhline(options.target, color="#999999", linewidth=0.8, linestyle=(0, (1, 2)))
    low = min(np.nanmin(line.get_ydata()) for axes in (keys, queries, *tokens) for line in axes.get_lines())
    keys.set_ylim(max(0, low - 0.05), 1.005)
    queries.legend(*keys.get_legend_handles_labels(), fontsize=7.5, loc="lower left")
    first, heads = records[0]["config"], len({curves.head_of(r) for r in records})
    figure.suptitle(f"Top {first['k']} of {first['n_keys']:,} keys, {heads} heads: where recall is lost", fontsize=11.5)
    style.footer(figure, records)
    style.save(figure, options.out)


if __name__ == "__main__":
    main()
