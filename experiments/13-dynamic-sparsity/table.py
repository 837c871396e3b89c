# SPDX-License-Identifier: Apache-2.0
"""Keys that hold the attention, by model and kind of text and by context, as Markdown. usage: table.py RESULTS"""
import pathlib
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "plots"))
import style  # noqa: E402
import texts  # noqa: E402


def by_text(folder):
    print("Keys outside sink (128) and window (512), queries of the last 128 positions; medians over heads (least to most)\n")
    print("| model | text | heads | keys | for 50 % | for 90 % | for 95 % | for 99 % | mass of the top 100 | of the first query's | mass of sink and window |\n"
          "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
    for model, of_text in texts.read(sorted((folder / "texts").glob("*.jsonl")), "sparsity").items():
        for text, records in of_text.items():
            of = lambda name: np.array([r["metrics"][name] for r in records])
            counts = " | ".join(texts.spread(of(f"k_for_{share}"), 0) for share in (50, 90, 95, 99))
            print(f"| {texts.MODELS[model]} | {texts.TEXTS[text][0]} | {len(records)} | {records[0]['config']['n_keys']:,} | {counts} | "
                  f"{texts.spread(of('recovery_dynamic_frac'), 2)} | {texts.spread(of('recovery_static_frac'), 2)} | {np.median(of('sink_frac') + of('window_frac')):.2f} |")


def by_context(folder):
    print("\nAll keys of the prompt, queries of 128 generated tokens; medians over heads, means of the top 1 % over heads\n")
    print("| model | keys | heads | for 50 % | for 90 % | for 95 % | for 99 % | 90 %, of all keys | top 1 % | of them chosen for each query | of the first query, kept |\n"
          "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
    for model in texts.MODELS:
        records = style.read([folder / "lengths" / f"{model}.jsonl"], "sparsity")
        for n in sorted({r["config"]["n_keys"] for r in records}):
            here = [r for r in records if r["config"]["n_keys"] == n]
            of = lambda name: np.array([r["metrics"][name] for r in here])
            counts = " | ".join(f"{np.median(of(f'k_for_{share}')):.0f}" for share in (50, 90, 95, 99))
            print(f"| {texts.MODELS[model]} | {n:,} | {len(here)} | {counts} | {100 * np.median(of('k_for_90')) / n:.1f} % | {here[0]['config']['k']} | "
                  f"{of('recovery_dynamic_frac').mean():.2f} | {of('recovery_static_frac').mean():.2f} |")


def main(folder):
    by_text(folder)
    by_context(folder)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
