# SPDX-License-Identifier: Apache-2.0
"""Agreement of top sets between steps, heads and layers, by model and kind of text, as Markdown. usage: table.py RESULTS"""
import pathlib
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "plots"))
import texts  # noqa: E402

LAGS = (1, 4, 16, 64)


def percent(values):
    return f"{100 * np.median(values):.0f}" if len(values) else ""


def rows(found):
    for model, of_text in found.items():
        for text, records in of_text.items():
            yield f"{texts.MODELS[model]} | {texts.TEXTS[text][0]}", records


def steps(found):
    names = " | ".join(f"{lag} back" for lag in LAGS)
    print("Between steps, %: of the top 100 of a query, those in the set of N steps before; mass that set holds, of what the own one does; mass with "
          "sink and window, of all. Medians over heads.\n")
    print(f"| model | text | heads | {names} | mass, {names.replace(' | ', ' | mass, ')} | all: own set | all: 64 back |\n|---|---|--:|" + "--:|" * (2 * len(LAGS) + 2))
    for name, records in rows(found):
        lags = records[0]["by_lag"]["lag"]
        of = lambda field, lag: [r["by_lag"][field][lags.index(lag)] for r in records]
        cells = [percent(of(field, lag)) for field in ("overlap_frac", "mass_ratio") for lag in LAGS]
        cells += [percent([r["metrics"]["exact_mass_all_frac"] for r in records]), percent(of("mass_all_frac", LAGS[-1]))]
        print(f"| {name} | {len(records)} | {' | '.join(cells)} |")


def places(found):
    print("\nBetween heads and layers at the same step: %, and the number of distinct keys that the heads of a group want. Medians over heads.\n")
    print("| model | text | heads of a group: overlap | mass | distinct keys | layer before: most like head | its mass | a head | six or more layers before: most like head |\n"
          "|---|---|--:|--:|--:|--:|--:|--:|--:|")
    for name, records in rows(found):
        of = lambda field: [r["metrics"][field] for r in records if r["metrics"][field] is not None]
        near, mass, mean, far = [], [], [], []
        for r in records:
            if "by_layer" not in r:
                continue
            layers = r["by_layer"]
            for i, layer in enumerate(layers["layer"]):
                distance = r["config"]["layer"] - layer
                if distance == 1:
                    near.append(layers["overlap_frac"][i])
                    mass.append(layers["mass_ratio"][i])
                    mean.append(layers["overlap_mean_frac"][i])
                elif distance >= 6:
                    far.append(layers["overlap_frac"][i])
        print(f"| {name} | {percent(of('group_overlap_frac'))} | {percent(of('group_mass_ratio'))} | {np.median(of('group_distinct')):.0f} | "
              f"{percent(near)} | {percent(mass)} | {percent(mean)} | {percent(far)} |")


def main(folder):
    found = texts.read(sorted(pathlib.Path(folder).glob("*.jsonl")), "overlap")
    steps(found)
    places(found)


if __name__ == "__main__":
    main(sys.argv[1])
