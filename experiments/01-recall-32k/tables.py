# SPDX-License-Identifier: Apache-2.0
"""Tables of this experiment: measured beside the expected figures. usage: tables.py RESULTS_FOLDER

The expected figures come from an earlier, independent set-up on the same model and kind of text (the
reference implementations of RoarGraph and FAISS driven from Python), so they differ in the exact text
and in random seeds: agreement within a few hundredths is agreement.
"""
import json
import pathlib
import sys

LAYERS = (2, 12, 20)
OOD = {2: (64, 2272), 12: (64, 1660), 20: (64, 1337)}  # mean squared Mahalanobis distance: keys, queries
MASS = {2: (.103, .415, .766, .882), 12: (.046, .192, .428, .570), 20: (.211, .501, .760, .854)}
# index -> layer -> "scanned %:recall" in rising effort; IVF there without the centroids, see CENTROIDS
EXPECTED = {
    "ivf lists=708 raw": {2: "2.3:.818 4.7:.947 9.5:.994", 12: "2.5:.601 5.0:.784 9.7:.911 17.7:.970 35.4:.997",
                          20: "2.6:.404 5.2:.560 10.1:.740 19.1:.885 36.7:.964"},
    "ivf lists=2048 raw": {2: "1.7:.914 3.3:.983", 12: "1.6:.677 3.3:.843 6.6:.960", 20: "1.2:.610 2.5:.770 5.3:.888"},
    "ivf lists=2048 query": {2: "1.6:.944 3.2:.995", 12: "1.3:.896 2.9:.978 6.1:.999", 20: "1.4:.795 2.8:.924 5.7:.981"},
    "hnsw raw": {2: "1.6:.202 9.7:.339", 12: "1.6:.136 10.3:.518", 20: "1.7:.066 10.6:.298"},
    "hnsw lift": {2: "6.0:.652 25.6:.946", 12: "4.1:.826 9.8:.967", 20: "4.4:.892 7.1:.968"},
    "hnsw query": {2: "5.2:.847 8.4:.966", 12: "3.1:.952 5.2:.993", 20: "2.9:.898 4.7:.974"},
    "roar raw pool=0": {2: "3.14:.694 7.20:.832 19.0:.849", 12: "3.35:.777 7.24:.852 18.8:.925",
                        20: "5.21:.751 12.4:.913 29.6:.962"},
    "roar query pool=0": {2: "4.22:.956 5.39:.990 6.41:.998", 12: "2.36:.958 3.11:.981 3.78:.991",
                          20: "4.80:.980 6.06:.991 7.16:.995"},
    "roar query": {2: "", 12: "", 20: ""},
}
CENTROIDS = {"ivf lists=708": 2.2, "ivf lists=2048": 6.5}  # % of n to add to the expected figures


def read(path):
    return [r for r in map(json.loads, path.read_text().splitlines()) if r["status"] == "ok"]


def label(spec):
    name, _, text = spec.partition(":")
    params = dict(p.split("=") for p in text.split(","))
    words = [name] + ([f"lists={params['lists']}"] if "lists" in params else []) + [params.get("metric", "raw")]
    if params.get("pool") == "0":
        words.append("pool=0")
    return " ".join(words)


def expected(name, layer):
    add = next((v for k, v in CENTROIDS.items() if name.startswith(k)), 0)
    points = [p.split(":") for p in EXPECTED.get(name, {}).get(layer, "").split()]
    return "  ".join(f"{float(s) + add:.1f}:{r}" for s, r in points)


def main(folder):
    folder = pathlib.Path(folder)
    print("| layer | keys, mean D² | queries, mean D² | expected | ratio | top 10 | 100 | 500 | 1000 | expected mass |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    ood = {r["config"]["layer"]: r["metrics"] for r in read(folder / "ood.jsonl")}
    mass = {(r["config"]["layer"], r["config"]["k"]): r["metrics"]["recovery_dynamic_frac"]
            for r in read(folder / "sparsity.jsonl")}
    for layer in LAYERS:
        k, q = ood[layer]["mahalanobis_sq_k_mean"], ood[layer]["mahalanobis_sq_q_mean"]
        found = " | ".join(f"{mass[layer, n]:.3f}" for n in (10, 100, 500, 1000))
        print(f"| {layer} | {k:.0f} | {q:.0f} | {OOD[layer][0]}, {OOD[layer][1]} | {q / k:.1f} | {found} | "
              f"{' '.join(map('{:.3f}'.format, MASS[layer]))} |")
    curves = {}
    for r in read(folder / "curve.jsonl"):
        if r["kind"] == "recall":
            key = (r["config"]["direction"], label(r["config"]["index"]), r["config"]["layer"])
            curves.setdefault(key, []).append((r["metrics"]["scanned_frac"] * 100, r["metrics"]["recall_id"]))
    for direction, title in (("q_to_k", "Queries to keys"), ("k_to_k", "Control: keys to keys")):
        print(f"\n{title}: scanned % (every inner product, centroids too) : recall@100\n")
        print("| index | layer | measured | expected |\n|---|---|---|---|")
        for (d, name, layer), points in curves.items():
            if d == direction:
                found = "  ".join(f"{s:.1f}:{r:.3f}" for s, r in sorted(points))
                print(f"| {name} | {layer} | {found} | {expected(name, layer) if d == 'q_to_k' else ''} |")


if __name__ == "__main__":
    main(sys.argv[1])
