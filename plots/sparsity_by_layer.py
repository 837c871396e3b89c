# SPDX-License-Identifier: Apache-2.0
"""How many keys hold 90 % of the attention mass outside sink and window, by layer, model and kind of text.

usage: sparsity_by_layer.py OUT MODEL-TEXT.jsonl ...     (records of `ra-recall sparsity`)
"""
import sys

import texts


def main(out, paths):
    found = texts.read(paths, "sparsity")
    figure, panels = texts.layer_panels(found, lambda r: r["metrics"]["k_for_90"], yscale="log")
    panels[0].set_ylabel("keys that hold 90 % of the mass,\nmean over queries")
    n = sorted({r["config"]["n_keys"] for of_text in found.values() for records in of_text.values() for r in records})
    texts.save(figure, found, f"Few of {n[0]:,} to {n[-1]:,} keys hold the attention, in most heads (a dot: a head; lines: medians over heads)", out)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    main(sys.argv[1], sys.argv[2:])
