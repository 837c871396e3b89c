# SPDX-License-Identifier: Apache-2.0
"""Distances by model and kind of text, as Markdown. usage: table.py RESULTS"""
import pathlib
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "plots"))
import texts  # noqa: E402


def main(folder):
    print("| model | text | heads | D(Q) / D(K), medians | D²(Q) / D²(K), means | D(K) | heads above 2 | above 10 | AUC |\n"
          "|---|---|--:|--:|--:|--:|--:|--:|--:|")
    for model, of_text in texts.read(sorted(pathlib.Path(folder).glob("*.jsonl")), "ood").items():
        for text, records in of_text.items():
            of = lambda name: np.array([r["metrics"][name] for r in records])
            ratio = of("mahalanobis_ratio")
            print(f"| {texts.MODELS[model]} | {texts.TEXTS[text][0]} | {len(records)} | {texts.spread(ratio)} | {texts.spread(of('mahalanobis_sq_ratio'))} | "
                  f"{np.median(of('mahalanobis_k_p50')):.1f} | {100 * np.mean(ratio > 2):.0f} % | {100 * np.mean(ratio > 10):.0f} % | {texts.spread(of('auc'), 3)} |")
    print("\nD: Mahalanobis distance to the keys; cells are medians over heads (least to most).")


if __name__ == "__main__":
    main(sys.argv[1])
