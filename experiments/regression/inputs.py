#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the fixed inputs of the counters: the same bytes of data on every machine.

    inputs.py FOLDER

words.txt   text for the tiny model
keys.h5     2,048 keys, 512 training and 64 test queries of dimension 32 in the shape of ann-benchmarks sets; queries
            look at other directions than those the keys vary most in
Numbers come from NumPy's frozen generator, pass no matrix product and are rounded to 1/1024, so that neither a CPU's
arithmetic nor a library's version shows in them.
"""
import argparse
import pathlib
import random

import h5py
import numpy as np

KEYS, TRAIN, TEST, DIM, SEEN, CLUSTERS = 2048, 512, 64, 32, 8, 40
WORDS = "the attention of one query sits on few keys and rest hold almost nothing so a decoder finds them".split()


def rounded(x):
    return (np.round(1024 * x) / 1024).astype(np.float32)


def queries(rng, n):
    q = rng.standard_normal((n, DIM)) * np.where(np.arange(DIM) < SEEN, 2.0, 0.2)
    q[:, 0] += 4
    return q


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "words.txt").write_text(" ".join(random.Random(7).choices(WORDS, k=4096)))
    rng = np.random.RandomState(7)
    centres = rng.standard_normal((CLUSTERS, DIM)) * np.where(np.arange(DIM) < SEEN, 0.5, 1.5)
    keys = centres[rng.randint(CLUSTERS, size=KEYS)] + 0.7 * rng.standard_normal((KEYS, DIM))
    keys[:, DIM - 1] += 8
    with h5py.File(folder / "keys.h5", "w") as out:
        out["train"], out["learn"], out["test"] = rounded(keys), rounded(queries(rng, TRAIN)), rounded(queries(rng, TEST))


if __name__ == "__main__":
    main()
