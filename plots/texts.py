# SPDX-License-Identifier: Apache-2.0
"""What the figures and tables of models and kinds of text share: files are named MODEL-TEXT.jsonl, a panel is a model, a colour a text."""
import pathlib

import numpy as np

import style

MODELS = {"smollm2": "SmolLM2-135M", "qwen": "Qwen2.5-Coder-0.5B", "gemma3": "Gemma 3 270M, global layers"}
TEXTS = {"handbook": ("English prose", style.BLUE, "o"), "handbook-de": ("German prose", style.SKY, "s"), "argparse": ("source code", style.ORANGE, "^"),
         "key-values": ("keys and values", style.RED, "D")}


def read(paths, kind):
    """model -> text -> records, in the order of the tables above."""
    files = {pathlib.Path(p).stem: style.read([p], kind) for p in paths}
    found = {m: {t: files[f"{m}-{t}"] for t in TEXTS if f"{m}-{t}" in files} for m in MODELS}
    return {m: texts for m, texts in found.items() if texts}


def by_layer(records, value):
    """(layers, middle over heads, [(layer, value of a head)])"""
    points = [(r["config"]["layer"], value(r)) for r in records]
    layers = sorted({layer for layer, _ in points})
    return layers, [np.median([v for at, v in points if at == layer]) for layer in layers], points


def layer_panels(found, value, **axes):
    """A panel a model: a line for each text through the medians of the layers, a dot for each head."""
    figure, panels = style.plt.subplots(1, len(found), figsize=(4.4 * len(found), 3.7), sharey=True, squeeze=False)
    for ax, (model, of_text) in zip(panels[0], found.items()):
        for number, (text, records) in enumerate(of_text.items()):
            label, colour, marker = TEXTS[text]
            layers, middles, points = by_layer(records, value)
            step = min(2, *np.diff(layers))
            shift = 0.16 * step * (number - (len(of_text) - 1) / 2)
            ax.plot([x + shift for x, _ in points], [y for _, y in points], ".", color=colour, markersize=2.5, alpha=0.35)
            ax.plot(layers, middles, "-", color=colour, marker=marker, markersize=3.5, linewidth=1.2, label=label)
        ax.set(title=MODELS[model], xlabel="layer", **axes)
        if len(layers) <= 6:
            ax.set_xticks(layers)
    panels[0][0].legend(fontsize=8)
    return figure, panels[0]


def save(figure, found, title, out):
    """With its title and the conditions of the first records."""
    figure.suptitle(title, fontsize=11)
    style.footer(figure, next(iter(next(iter(found.values())).values())))
    style.save(figure, out)


def spread(values, digits=1):
    """Median and range, for a cell of a table."""
    return f"{np.median(values):.{digits}f} ({np.min(values):.{digits}f} to {np.max(values):.{digits}f})"
