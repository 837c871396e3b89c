#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A dump of ra-dump in Python, with h5py and NumPy (lib/store/python.md).

    read_dump.py dump.h5                 # what it holds
    read_dump.py dump.h5 LAYER HEAD      # the keys that the head's last query attends to most
"""
import argparse
import json
import pathlib
import sys

import h5py
import numpy as np


class BadDump(Exception):
    pass


class Head:
    """One query head: keys [T, D], values [T, Dv] and queries [Tq, D] as f32, q_pos [Tq], scale."""

    def __init__(self, group, head):
        q, k = group["q"], group["k"]
        kv_head = head * k.shape[0] // q.shape[0]
        self.queries = q[head].astype("f4")
        self.keys = k[kv_head].astype("f4")
        self.values = group["v"][kv_head].astype("f4")
        self.q_pos = group["q_pos"][:]
        self.scale = float(q.attrs["scale"])
        self.window = int(q.attrs.get("sliding_window", 0)) or len(self.keys)
        if "softcap" in q.attrs:
            raise BadDump(f"{q.name}: the scores of this layer are capped")
        for x in (self.queries, self.keys, self.values):
            if not np.isfinite(x).all():  # HDF5 reads a part that is not there as NaN
                raise BadDump(f"{group.name}: values that are not finite (a missing part?)")

    def weights(self, row):
        """Attention of query `row` over the keys: [T], zero where it sees nothing."""
        end = int(self.q_pos[row]) + 1
        begin = max(0, end - self.window)
        logits = self.scale * (self.keys[begin:end].astype("f8") @ self.queries[row].astype("f8"))
        weights = np.zeros(len(self.keys))
        weights[begin:end] = np.exp(logits - logits.max())
        return weights / weights.sum()


class Dump:
    def __init__(self, path):
        try:
            self.file = h5py.File(path, "r")
        except OSError as error:
            raise BadDump(str(error)) from None
        self.attributes = {k: v.decode() if isinstance(v, bytes) else v.item() for k, v in self.file.attrs.items()}
        of = self.attributes.get
        if of("format") != "retrieval-attention-dump" or of("format_version") != 1:
            raise BadDump("not a dump of format version 1")
        if of("complete") != 1:
            raise BadDump("not complete: ra-dump --resume finishes it")
        folder = of("parts_folder")
        if folder and not (pathlib.Path(path).parent / folder).is_dir():
            raise BadDump(f"its parts are missing: {folder} must lie beside it")
        self.layers = sorted(int(name) for name in self.file["layers"])
        self.tokens = self.file["tokens/ids"][:]
        self.phase = self.file["phase"][:]  # [Tq]: 0 prompt, 1 decode

    def head(self, layer, head):
        if layer not in self.layers:
            raise BadDump(f"layer {layer} is not in the dump, which has {self.layers}")
        if not 0 <= head < self.attributes["n_heads"]:
            raise BadDump(f"head {head}: there are {self.attributes['n_heads']}")
        digits = 2 if self.attributes["n_layers"] <= 100 else 3
        return Head(self.file[f"layers/{layer:0{digits}}"], head)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dump")
    parser.add_argument("layer", type=int, nargs="?")
    parser.add_argument("head", type=int, nargs="?", default=0)
    args = parser.parse_args()
    try:
        dump = Dump(args.dump)
        if args.layer is None:
            print(json.dumps({**dump.attributes, "layers": dump.layers, "queries": len(dump.phase)}, indent=1))
            return 0
        head = dump.head(args.layer, args.head)
        weights = head.weights(-1)
        for key in np.argsort(-weights, kind="stable")[:10]:
            print(f"position {key:8d}  token {dump.tokens[key]:7d}  weight {weights[key]:.4f}")
    except BadDump as error:
        print(f"read_dump.py: error: {args.dump}: {error}", file=sys.stderr)
        return 65
    return 0


if __name__ == "__main__":
    sys.exit(main())
