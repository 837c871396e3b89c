# SPDX-License-Identifier: Apache-2.0
"""Distance, sparsity, recall against work and the gain of the query metric for each model, as Markdown.

usage: table.py RECORDS.jsonl ...     (NAME.jsonl of `ra-recall curve`, NAME-vectors.jsonl of `ood` and `sparsity`)
"""
import collections
import json
import pathlib
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "plots"))
import curves  # noqa: E402

PAIRS = [("ivf", "ivf:metric=query"), ("ivf", "ivf:metric=query,share=head"), ("hnsw", "hnsw:metric=query"),
         ("hnsw:metric=lift", "hnsw:metric=query"), ("qivf:metric=raw", "qivf")]


def read(path):
    records = map(json.loads, pathlib.Path(path).read_text().splitlines())
    return [r for r in records if r["status"] == "ok" and r["kind"] != "build"]


def spread(values, digits=1):
    return f"{np.mean(values):.{digits}f} ({np.min(values):.{digits}f} to {np.max(values):.{digits}f})"


def vectors(name, records):
    of = lambda kind, field: [r["metrics"][field] for r in records if r["kind"] == kind and r["config"]["query_set"] == "prompt"]
    squared, mass = of("ood", "mahalanobis_sq_ratio"), of("sparsity", "recovery_dynamic_frac")
    print(f"| {name} | {len(squared)} | {spread(of('ood', 'mahalanobis_ratio'))} | {spread(squared)} | {spread(mass, 2)} | "
          f"{spread(of('sparsity', 'k_for_90'), 0)} |")


def points(name, records):
    for query_set in ("prompt", "decode"):
        print(f"\n{name}, {query_set} queries\n\n| index | search | scanned % | recall | p5 | worst | mass | rel. L2 error |\n|---|---|--:|--:|--:|--:|--:|--:|")
        runs = curves.by_index(records, query_set)
        for index, efforts in runs.items():
            for search, rs in efforts.items():
                recall = [found for _, found in curves.by_head(rs).values()]
                print(f"| {index} | {search} | {100 * curves.mean(rs, 'scanned_frac'):.2f} | {np.mean(recall):.3f} | "
                      f"{np.quantile(recall, 0.05):.3f} | {min(recall):.3f} | {curves.mean(rs, 'mass_ratio'):.3f} | {curves.mean(rs, 'output_rel_l2'):.4f} |")


def gains(name, records):
    for query_set in ("prompt", "decode"):
        runs = curves.by_index(records, query_set)
        for base, query in PAIRS:
            gained = np.array(list(curves.gains(runs[base], runs[query]).values()))
            if len(gained) == 0:
                continue
            print(f"| {name} | {query_set} | {base} | {query} | {len(gained)} | {gained.mean():+.3f} | {np.quantile(gained, 0.05):+.3f} | "
                  f"{gained.min():+.3f} | {gained.max():+.3f} | {100 * np.mean(gained > 0):.0f} |")


def main(paths):
    models = collections.OrderedDict()
    for path in map(pathlib.Path, paths):
        models.setdefault(path.stem.removesuffix("-vectors"), {})[path.stem.endswith("-vectors")] = read(path)
    print("| model | heads | distance of queries over that of keys (medians) | squared (means) | mass of the top 100 | keys for 90 % |\n|---|--:|--:|--:|--:|--:|")
    for name, found in models.items():
        vectors(name, found[True])
    print("\nRecall gained at equal work, in the middle of the range of keys scanned that both cover, over heads.\n")
    print("| model | queries | from | to | heads | mean | p5 | least | most | % of heads that gain |\n|---|---|---|---|--:|--:|--:|--:|--:|--:|")
    for name, found in models.items():
        gains(name, found[False])
    for name, found in models.items():
        points(name, found[False])


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    main(sys.argv[1:])
