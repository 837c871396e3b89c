#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints a result record of the contents of a dump: a hash of each kind of dataset, over all layers.

    dump_hashes.py DUMP.h5 LEVEL COMPILER

A hash is the first 48 bits of sha256, which a JSON number holds exactly.
"""
import hashlib
import json
import sys

import h5py
import numpy as np


def main(path, level, compiler):
    hashes = {}
    with h5py.File(path) as dump:
        def add(name, item):
            if isinstance(item, h5py.Dataset):
                hashes.setdefault(name.rsplit("/", 1)[-1], hashlib.sha256()).update(np.ascontiguousarray(item[()]).tobytes())
        dump.visititems(add)  # in the order of names
        config = {"model_sha256": dump.attrs["model_sha256"].decode(), "dtype": dump.attrs["dtype"].decode(),
                  "n_tokens": int(dump.attrs["n_tokens"]), "n_prefill": int(dump.attrs["n_prefill"])}
    metrics = {f"hash_{name}": int(h.hexdigest()[:12], 16) for name, h in sorted(hashes.items())}
    print(json.dumps({"schema_version": 1, "tool": "ra-dump", "kind": "dump", "status": "ok",
                      "provenance": {"isa": level, "compiler": compiler}, "config": config, "metrics": metrics}))


if __name__ == "__main__":
    main(*sys.argv[1:])
