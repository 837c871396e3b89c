# SPDX-License-Identifier: Apache-2.0
"""The tables of this experiment, as Markdown. usage: table.py RESULTS_FOLDER"""
import collections
import json
import pathlib
import sys

import numpy as np

SHARE, RECALL = 0.05, 0.95  # where curves are compared


def read(path, kind="recall"):
    records = map(json.loads, path.read_text().splitlines()) if path.exists() else ()
    return [r for r in records if r["status"] == "ok" and r["kind"] == kind]


def curves(records, *more):
    """(index, more of config) -> [(scanned, recall, records)] over the efforts, means over heads, ascending."""
    runs = collections.defaultdict(lambda: collections.defaultdict(list))
    for r in records:
        c = r["config"]
        runs[(c["index"], *(c.get(name, "") for name in more))][c["search"]].append(r)
    mean = lambda rs, name: np.mean([r["metrics"][name] for r in rs])
    return {key: sorted(((mean(rs, "scanned_frac"), mean(rs, "recall_id"), rs) for rs in efforts.values()), key=lambda p: p[:2])
            for key, efforts in runs.items()}


def between(x, y, at):
    """y at x, with x and y ascending; None outside."""
    return np.interp(at, x, y) if x[0] <= at <= x[-1] else None


def cells(points):
    """Heads, points, recall at SHARE, share at RECALL."""
    scanned, recall = np.array([p[:2] for p in points]).T
    shown = "  ".join(f"{100 * s:.1f}:{r:.3f}" for s, r in zip(scanned, recall))
    found = between(np.log(scanned), recall, np.log(SHARE))
    needed = between(np.maximum.accumulate(recall), np.log(scanned), RECALL)
    text = lambda value, form: "–" if value is None else form(value)
    return [len(points[0][2]), shown, text(found, lambda v: f"{v:.3f}"), text(needed, lambda v: f"{100 * np.exp(v):.1f}")]


def table(title, names, rows):
    if not rows:
        return
    header = [*names, "heads", "scanned % : recall", f"recall at {SHARE:.0%}", f"scanned % for {RECALL}"]
    print(f"\n{title}\n\n| {' | '.join(header)} |\n|{'---|' * len(names)}--:|---|--:|--:|")
    for key, points in rows:
        print(f"| {' | '.join(map(str, [*key, *cells(points)]))} |")


def curve_table(title, records, *more):
    rows = [(key, points) for key, points in curves(records, *more).items() if not key[0].startswith("flat")]
    table(title, ["index", *more], rows)


def errors(records):
    print("\nError, rung by rung (mass and L2 error of attention with sink and window)\n")
    print("| attended | scanned % | recall | mass | relative L2 error |\n|---|--:|--:|--:|--:|")
    print("| all keys | | | 1 | 0 |")
    mean = lambda rs, name: np.mean([r["metrics"][name] for r in rs])
    for (index,), points in curves(records).items():
        for scanned, recall, rs in points:
            name = "the exact top k (`flat`)" if index == "flat" else f"`{index}` {rs[0]['config']['search']}"
            print(f"| {name} | {100 * scanned:.1f} | {recall:.4f} | {mean(rs, 'mass_all_frac'):.4f} | {mean(rs, 'output_rel_l2'):.4f} |")


def seeds(records):
    print("\nThree seeds: mean ± standard deviation of the mean over heads\n")
    print("| index | search | scanned % | recall | mass | worst head |\n|---|---|--:|--:|--:|--:|")
    for r in records:
        c, m = r["config"], r["metrics"]
        print(f"| {c['index']} | {c['search']} | {100 * m['scanned_frac']:.2f} ± {100 * m['scanned_frac_sd']:.2f} | "
              f"{m['recall_id']:.4f} ± {m['recall_id_sd']:.4f} | {m['mass_ratio']:.4f} ± {m['mass_ratio_sd']:.4f} | {m['recall_id_head_min']:.3f} |")


def main(folder):
    folder = pathlib.Path(folder)
    at_100 = [r for r in read(folder / "k.jsonl") if r["config"]["k"] == 100]
    graphs = {r["config"]["layer"] for r in at_100}
    metric = read(folder / "metric.jsonl")
    known = {r["config"]["index"] for r in metric}
    compared = metric + [r for r in at_100 if r["config"]["index"] not in known]
    curve_table(f"Metric, k = 100, layers {', '.join(map(str, sorted(graphs)))}", [r for r in compared if r["config"]["layer"] in graphs])
    curve_table("Metric of lists, k = 100, six layers", [r for r in metric if "ivf" in r["config"]["index"]])
    curve_table("Number of keys wanted", read(folder / "k.jsonl"), "k")
    taught = [r for r in compared if r["config"]["index"] in ("ivf:metric=query", "qivf", "roar:beam=100")]
    curve_table("Training queries of each of seven heads", read(folder / "training.jsonl") + taught, "n_train", "train_pick")
    curve_table("Where a search starts", read(folder / "entry.jsonl") + [r for r in at_100 if r["config"]["index"] in ("qgraph", "roar:beam=100")])
    errors(read(folder / "errors.jsonl"))
    seeds(read(folder / "seeds.jsonl", "repeats"))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(sys.argv[1])
