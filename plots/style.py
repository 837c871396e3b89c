# SPDX-License-Identifier: Apache-2.0
"""What every figure shares: reading records, colours that colour-blind readers can tell apart, and
saving as PNG and SVG with reproducible bytes."""
import json
import os
import pathlib

os.environ.setdefault("SOURCE_DATE_EPOCH", "0")  # matplotlib stamps files with it

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402  (after the backend is chosen)

# Okabe and Ito's palette.
BLACK, ORANGE, SKY, GREEN, YELLOW, BLUE, RED, PURPLE = (
    "#000000", "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7")

plt.rcParams.update({
    "figure.dpi": 110, "savefig.dpi": 160, "font.size": 9.5, "axes.titlesize": 10.5,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True,
    "grid.color": "#e6e6e6", "grid.linewidth": 0.7, "axes.axisbelow": True,
    "legend.frameon": False, "svg.hashsalt": "retrieval-attention", "svg.fonttype": "path",
    "figure.constrained_layout.use": True,
})


def read(paths, kind):
    """Records of one kind with status ok, in file order."""
    records = []
    for path in paths:
        for number, line in enumerate(pathlib.Path(path).read_text().splitlines(), 1):
            try:
                record = json.loads(line)
            except ValueError as error:
                raise SystemExit(f"{path}: line {number}: {error}")
            if record.get("kind") == kind and record.get("status") == "ok":
                records.append(record)
    if not records:
        raise SystemExit(f"no '{kind}' records in {', '.join(map(str, paths))}")
    return records


def short(text, most=44):
    """An index text that fits a title."""
    return text if len(text) <= most else text[:most - 1] + "…"


def footer(figure, records):
    """Conditions under the picture, from the records themselves."""
    origin = records[0]["provenance"]
    commit = origin["git_commit"] + (" and changes" if origin.get("git_dirty") else "")
    figure.supxlabel(f"{origin['cpu']}, {origin['threads']} threads, {origin['isa']}; commit {commit}",
                     fontsize=7, color="#666666", x=0.995, ha="right")


def save(figure, out):
    """out without suffix -> out.png and out.svg."""
    out = pathlib.Path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    for suffix, metadata in ((".png", {"Software": None}), (".svg", {"Date": None})):
        figure.savefig(out.with_suffix(suffix), metadata=metadata)
        print(out.with_suffix(suffix))
    plt.close(figure)
