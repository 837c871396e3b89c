#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Would votes of training queries find a test query's keys? A model in NumPy, not an index.

After Hyvönen et al., "A multilabel classification framework for approximate nearest neighbor search" (NeurIPS 2022):
the queries' space is partitioned, here by spherical k-means in the metric of the keys; a cell's training queries vote
for their exact top k; the keys with most votes in the cells nearest to a test query are its candidates.

usage: votes.py DUMP.h5 LAYERS HEADS > votes.md      e.g. 5,12,18 1,3,5
"""
import sys

import h5py
import numpy as np

FIRST, LAST, TESTS, K = 128, 31744, 64, 100  # keys; the last TESTS queries of the dump are test queries


def exact(queries, keys):
    """ids [n, K] of the exact top K."""
    return np.vstack([np.argpartition(-(block @ keys.T), K, axis=1)[:, :K] for block in np.array_split(queries, max(1, len(queries) // 256))])


def spherical_kmeans(x, cells, rounds=8):
    centres = x[np.random.default_rng(1).choice(len(x), cells, replace=False)]
    for _ in range(rounds):
        nearest = np.argmax(x @ centres.T, axis=1)
        sums = np.zeros_like(centres)
        np.add.at(sums, nearest, x)
        norms = np.linalg.norm(sums, axis=1, keepdims=True)
        centres = np.where(norms > 0, sums / np.maximum(norms, 1e-30), centres)
    return centres, np.argmax(x @ centres.T, axis=1)


def head(file, layer, query_head):
    """{(cells, probes): (recall at 3 %, at 10 % of the keys as candidates, votes kept per key)}"""
    group = file[f"layers/{layer:02d}"]
    kv_head = query_head * group["k"].shape[0] // group["q"].shape[0]
    keys = group["k"][kv_head, FIRST:LAST].astype(np.float32)
    queries = group["q"][query_head].astype(np.float32)
    train, test = queries[FIRST:LAST:2], queries[-TESTS:]
    voted, wanted = exact(train, keys), exact(test, keys)
    values, axes = np.linalg.eigh(np.cov(keys.T))
    metric = (axes * np.sqrt(np.maximum(values, 0))).astype(np.float32)
    unit = lambda x: x @ metric / np.linalg.norm(x @ metric, axis=1, keepdims=True)
    found = {}
    for cells in (64, 256, 1024):
        centres, cell_of = spherical_kmeans(unit(train), cells)
        votes = np.zeros((cells, len(keys)), np.float32)
        np.add.at(votes, (np.repeat(cell_of, K), voted.ravel()), 1)
        kept = np.count_nonzero(votes) / len(keys)
        votes /= np.maximum(1, np.bincount(cell_of, minlength=cells))[:, None]
        near = np.argsort(-(unit(test) @ centres.T), axis=1)
        for probes in (1, 4):
            tally = votes[near[:, :probes]].sum(axis=1)
            recall = []
            for share in (0.03, 0.10):
                best = np.argpartition(-tally, int(share * len(keys)), axis=1)[:, :int(share * len(keys))]
                recall.append(np.mean([len(np.intersect1d(b, w)) for b, w in zip(best, wanted)]) / K)
            found[cells, probes] = (*recall, kept)
    return found


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__.strip().splitlines()[-1])
    with h5py.File(sys.argv[1]) as file:
        heads = [head(file, int(layer), int(h)) for layer in sys.argv[2].split(",") for h in sys.argv[3].split(",")]
    print("| cells | probes | recall, 3 % of the keys as candidates | 10 % | votes kept per key |\n|--:|--:|--:|--:|--:|")
    for (cells, probes), _ in heads[0].items():
        low, high, kept = np.mean([h[cells, probes] for h in heads], axis=0)
        print(f"| {cells} | {probes} | {low:.3f} | {high:.3f} | {kept:.1f} |")


if __name__ == "__main__":
    main()
