#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes a synthetic set of keys and out-of-distribution queries with a known answer.

    make_synthetic.py -o ood.hdf5 [--keys 20000 --dim 64 --test 500 --learn 4000 --ratio 10 ...]

The file has the shape of ann-benchmarks sets, with the inner product as similarity:

    train [keys, dim] f32        keys
    test, learn [., dim] f32     test queries; training queries from the same distribution
    neighbors [test, k] i32      exact best keys of each test query, best first, ties to the smaller id
    distances [test, k] f32      their inner products
    attributes                   every option, and the measured mahalanobis_{q,k}_p50 and _ratio

Keys, in a rotated basis: coordinate i has variance i^-spectrum, so that a few directions carry most of
it, as in real heads. The first `clustered` coordinates form tight clusters; the others are noise that
knows nothing of them. The mean is off the origin and norms are spread log-normally. So two keys that
score high with each other share a cluster, and key-to-key search is easy.
Queries point along a few directions, and the share `hidden` of the variance of their scores comes from
the coordinates that are *not* clustered. Their best keys are scattered over the clusters: an index
that groups keys by their mutual distance finds them badly, one that has seen training queries can do
better. The length of a query does not change its answer; it is chosen such that the Mahalanobis
distance to the keys is `ratio` times the keys' own median (within 5 % in the file).

Same options, same numpy: same bytes. Needs numpy and h5py.
"""
import argparse
import os

import h5py
import numpy as np


def random_rotation(rng, dim):
    q, r = np.linalg.qr(rng.standard_normal((dim, dim)))
    return q * np.sign(np.diag(r))


class Keys:
    """The distribution of keys, in its own basis."""

    def __init__(self, rng, o):
        self.deviation = np.arange(1, o.dim + 1) ** (-o.spectrum / 2)
        between = np.where(np.arange(o.dim) < o.clustered, o.between, 0.0)
        self.centres = rng.standard_normal((o.clusters, o.dim)) * self.deviation * np.sqrt(between)
        self.inside = self.deviation * np.sqrt(1 - between)
        self.offset = o.offset * rng.standard_normal(o.dim) * self.deviation
        self.norm_spread = o.norm_spread

    def sample(self, rng, n):
        own = rng.integers(len(self.centres), size=n)
        k = self.centres[own] + rng.standard_normal((n, self.inside.size)) * self.inside
        return (k + self.offset) * np.exp(self.norm_spread * rng.standard_normal((n, 1)))


class Queries:
    """Directions near one of a few centres, not yet scaled."""

    def __init__(self, rng, keys, o):
        # Dividing by the deviation of the keys gives each coordinate the same part in the variance
        # of the scores; `part` then shares it out: 1 - hidden to the clustered ones.
        clustered = np.arange(o.dim) < o.clustered
        part = np.where(clustered, (1 - o.hidden) / o.clustered, o.hidden / (o.dim - o.clustered))
        self.weight = np.sqrt(part) / keys.deviation
        self.centres = rng.standard_normal((o.directions, o.dim)) * self.weight
        self.noise = o.query_noise

    def sample(self, rng, n):
        own = rng.integers(len(self.centres), size=n)
        noise = rng.standard_normal((n, self.weight.size)) * self.weight
        return self.centres[own] + self.noise * noise


def scaled_to_distance(w, mean, inverse, distance):
    """The multiples s * w, s > 0, at this Mahalanobis distance from the keys."""
    a = np.einsum("ij,jk,ik->i", w, inverse, w)
    b = w @ inverse @ mean
    c = mean @ inverse @ mean
    s = (b + np.sqrt(b * b + a * (distance * distance - c))) / a
    return w * s[:, None]


def mahalanobis(x, mean, inverse):
    return np.sqrt(np.einsum("ij,jk,ik->i", x - mean, inverse, x - mean))


def exact_neighbors(keys, queries, k):
    """(ids, inner products) in f64, best first, ties to the smaller id."""
    ids, scores = [], []
    for rows in np.array_split(queries.astype(float), max(1, len(queries) // 64)):
        s = rows @ keys.astype(float).T
        order = np.argsort(-s, axis=1, kind="stable")[:, :k]
        ids.append(order)
        scores.append(np.take_along_axis(s, order, axis=1))
    return np.concatenate(ids).astype(np.int32), np.concatenate(scores).astype(np.float32)


def generate(o):
    """(datasets, attributes) of the file."""
    rng = np.random.Generator(np.random.PCG64(o.seed))
    rotation = random_rotation(rng, o.dim)
    mixture = Keys(rng, o)
    train = mixture.sample(rng, o.keys)
    mean = train.mean(axis=0)
    inverse = np.linalg.inv(np.cov(train, rowvar=False))
    own = np.median(mahalanobis(train, mean, inverse))

    queries = Queries(rng, mixture, o).sample(rng, o.test + o.learn)
    distance = own * o.ratio * np.exp(0.1 * rng.standard_normal(len(queries)))
    floor = 1.01 * np.sqrt(mean @ inverse @ mean)  # the origin's own distance: below it no s exists
    queries = scaled_to_distance(queries, mean, inverse, np.maximum(distance, floor))
    far = np.median(mahalanobis(queries[:o.test], mean, inverse))

    train = (train @ rotation.T).astype(np.float32)
    queries = (queries @ rotation.T).astype(np.float32)
    test, learn = queries[:o.test], queries[o.test:]
    neighbors, distances = exact_neighbors(train, test, o.k)
    datasets = {"train": train, "test": test, "learn": learn, "neighbors": neighbors,
                "distances": distances}
    attributes = {"type": np.bytes_("dense"), "distance": np.bytes_("ip"), "dimension": o.dim,
                  "point_type": np.bytes_("float"), "synthetic": np.uint8(1),
                  "mahalanobis_q_p50": far, "mahalanobis_k_p50": own,
                  "mahalanobis_ratio": far / own}
    attributes |= {f"option_{name}": value for name, value in vars(o).items() if name != "output"}
    return datasets, attributes


def create(path):
    """A file whose metadata has checksums (format of HDF5 1.10) and no time stamps."""
    access, creation = (h5py.h5p.create(c) for c in (h5py.h5p.FILE_ACCESS, h5py.h5p.FILE_CREATE))
    access.set_libver_bounds(h5py.h5f.LIBVER_V110, h5py.h5f.LIBVER_V110)
    creation.set_obj_track_times(False)
    return h5py.File(h5py.h5f.create(os.fsencode(path), h5py.h5f.ACC_TRUNC, creation, access))


def write(path, datasets, attributes):
    partial = f"{path}.partial.{os.getpid()}"
    try:
        with create(partial) as f:
            for name, data in datasets.items():
                f.create_dataset(name, data=data, chunks=True, fletcher32=True)
            for name, value in attributes.items():
                f.attrs[name] = value
        os.replace(partial, path)
    finally:
        if os.path.exists(partial):
            os.unlink(partial)


def parser():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("-o", "--output", required=True, metavar="FILE")
    p.add_argument("--keys", type=int, default=20000)
    p.add_argument("--dim", type=int, default=64)
    p.add_argument("--test", type=int, default=500, help="test queries")
    p.add_argument("--learn", type=int, default=4000, help="training queries")
    p.add_argument("-k", type=int, default=100, help="neighbours per test query")
    p.add_argument("--clusters", type=int, default=200, help="clusters of keys")
    p.add_argument("--clustered", type=int, default=16, help="coordinates that have clusters")
    p.add_argument("--between", type=float, default=0.9,
                   help="share of their variance between the clusters, the rest is inside them")
    p.add_argument("--spectrum", type=float, default=1.0,
                   help="variance of coordinate i of the keys is i^-spectrum; 0 = round")
    p.add_argument("--offset", type=float, default=0.5,
                   help="mean of the keys, in their standard deviations per coordinate")
    p.add_argument("--norm-spread", type=float, default=0.05, help="sigma of ln |key|")
    p.add_argument("--directions", type=int, default=16, help="centres of the query directions")
    p.add_argument("--query-noise", type=float, default=0.5,
                   help="spread around such a centre, relative to it")
    p.add_argument("--hidden", type=float, default=0.6,
                   help="share of the score variance from coordinates without clusters; 0 = in "
                        "distribution")
    p.add_argument("--ratio", type=float, default=10.0,
                   help="Mahalanobis distance of queries over that of keys (medians)")
    p.add_argument("--seed", type=int, default=1)
    return p


def main():
    p = parser()
    options = p.parse_args()
    if not 0 < options.k <= options.keys:
        p.error(f"-k {options.k}: from 1 to the number of keys")
    if min(options.dim, options.test, options.learn, options.clusters, options.directions) < 1:
        p.error("sizes are at least 1")
    if not 0 < options.clustered < options.dim:
        p.error(f"--clustered {options.clustered}: from 1 to --dim less 1")
    if options.keys <= options.dim:
        p.error(f"--keys {options.keys}: more than --dim are needed for a covariance")
    datasets, attributes = generate(options)
    write(options.output, datasets, attributes)
    print(options.output)


if __name__ == "__main__":
    main()
