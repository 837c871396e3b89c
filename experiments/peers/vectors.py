# SPDX-License-Identifier: Apache-2.0
"""PyPI faiss-cpu and hnswlib on vectors that `ra-recall export --format npy` wrote: recall and time of each index
over its effort, one record per query head and effort, like those of `ra-recall curve --batch group`.

usage: vectors.py EXPORT_FOLDER OUT.jsonl [-k 100] [--threads 2] [--only NAME,...]

Similarity is the inner product. A search call holds the queries of one position, one of each head of the KV head's
group, on one thread; builds use --threads. What each peer is given:
  faiss-ivf      METRIC_INNER_PRODUCT with FAISS's own training (spherical centroids)
  faiss-ivf-l2   cells by L2 k-means, centroids ranked by inner product: the stronger raw IVF
  faiss-ivfpq    4-bit fast scan over L2 cells, the best k * FACTOR scored exactly
  faiss-hnsw, hnswlib               inner product as it is
  faiss-hnsw-lift, hnswlib-lift     L2 on keys lifted to the sphere of one more dimension: the stronger HNSW
Keys scanned are counted, centroids, codes and reranked keys too; faiss's HNSW does not count its upper layers, and
hnswlib counts nothing.
"""
import argparse
import datetime
import importlib.metadata
import json
import os
import pathlib
import time
import uuid

import faiss
import hnswlib
import numpy as np

SEED = 1
RUN_ID = uuid.uuid4().hex[:16]
BLOCK = 64  # queries of an exact scan at a time


class Group:
    """The sets of one layer and KV head: keys, and of each head its test queries in order of position."""

    def __init__(self, folder, sets, k):
        self.about = [json.loads((folder / f"{name}.json").read_text()) for name in sets]
        first = self.about[0]
        self.keys = np.load(folder / sets[0] / "K.npy").astype("f4")
        self.queries = np.stack([np.load(folder / s / "Q.npy")[first["n_train"]:] for s in sets], axis=1).astype("f4")
        self.scale = first["scale"]
        prompt = first.get("n_test_prompt", 0)
        self.sets = {name: rows for name, rows in (("prompt", slice(0, prompt)), ("decode", slice(prompt, None)))
                     if len(self.queries[rows])}
        self.exact = np.empty((*self.queries.shape[:2], k), "i8")
        self.log_sum = np.empty(self.queries.shape[:2])
        keys = self.keys.astype("f8")
        for i in range(0, len(self.queries), BLOCK):
            for head in range(len(sets)):
                scores = self.queries[i:i + BLOCK, head].astype("f8") @ keys.T
                part = np.argpartition(-scores, k - 1, axis=1)[:, :k]
                self.exact[i:i + BLOCK, head] = part
                top = scores.max(1, keepdims=True)
                self.log_sum[i:i + BLOCK, head] = (self.scale * top[:, 0]
                                                   + np.log(np.exp(self.scale * (scores - top)).sum(1)))

    def mass(self, position, head, ids):
        """Softmax mass of these keys over all indexed keys."""
        scores = self.keys[ids].astype("f8") @ self.queries[position, head].astype("f8")
        return np.exp(self.scale * scores - self.log_sum[position, head]).sum()


def lifted(keys):
    norms = (keys.astype("f8") ** 2).sum(1)
    return np.c_[keys, np.sqrt(norms.max() - norms)].astype("f4")


def widened(queries):
    return np.c_[queries, np.zeros(len(queries), "f4")]


class Ivf:
    """Raw keys; `l2` cells by L2 k-means, else FAISS's own training for inner products."""

    def __init__(self, keys, lists, l2):
        n, d = keys.shape
        self.quantizer = faiss.IndexFlatIP(d)
        self.index = faiss.IndexIVFFlat(self.quantizer, d, lists, faiss.METRIC_INNER_PRODUCT)
        if l2:
            add_by_l2_cells(self.index, self.quantizer, keys, lists)
        else:
            self.index.train(keys)
            self.index.add(keys)
        self.bytes = n * 8 + lists * d * 4 + keys.nbytes
        self.points = [{"nprobe": p} for p in (1, 2, 4, 8, 16, 32, 64, 128, 256) if p <= lists]

    def set(self, nprobe):
        self.index.nprobe = nprobe

    def search(self, queries, k):
        return self.index.search(queries, k)[1]

    def scanned(self, queries, k):
        return lists_read(self.index, self.quantizer, queries) + self.index.nlist


def add_by_l2_cells(index, quantizer, keys, lists):
    kmeans = faiss.Kmeans(keys.shape[1], lists, niter=10, seed=SEED, min_points_per_centroid=1,
                          max_points_per_centroid=1 << 20)
    kmeans.train(keys)
    cells = np.ascontiguousarray(kmeans.index.search(keys, 1)[1][:, 0])
    quantizer.add(kmeans.centroids)
    index.quantizer_trains_alone = 0
    if not index.is_trained:
        index.train(keys)  # a product quantizer's code book; a filled quantizer is not trained again
    index.is_trained = True
    index.add_core(len(keys), faiss.swig_ptr(keys), None, faiss.swig_ptr(cells))


def lists_read(index, quantizer, queries):
    sizes = np.array([index.invlists.list_size(i) for i in range(index.nlist)])
    cells = quantizer.search(queries, index.nprobe)[1]
    return np.where(cells >= 0, sizes[cells], 0).sum(1)


class IvfPq:
    def __init__(self, keys, lists):
        n, d = keys.shape
        self.quantizer = faiss.IndexFlatIP(d)
        self.index = faiss.IndexIVFPQFastScan(self.quantizer, d, lists, d // 2, 4, faiss.METRIC_INNER_PRODUCT)
        self.index.cp.spherical = False
        self.index.train(keys)
        self.index.add(keys)
        self.refine = faiss.IndexRefineFlat(self.index, faiss.swig_ptr(keys))
        self.bytes = n * (d // 4 + 8) + lists * d * 4 + keys.nbytes
        self.points = [{"nprobe": p, "factor": f} for f in (4, 10) for p in (4, 16, 64, 128) if p <= lists]

    def set(self, nprobe, factor):
        self.index.nprobe = nprobe
        self.refine.k_factor = factor

    def search(self, queries, k):
        return self.refine.search(queries, k)[1]

    def scanned(self, queries, k):
        read = lists_read(self.index, self.quantizer, queries)
        return read + self.index.nlist + np.minimum(read, int(k * self.refine.k_factor))


class FaissHnsw:
    points = [{"ef": ef} for ef in (100, 200, 400, 800, 1600)]

    def __init__(self, keys, lift):
        self.lift = lift
        x = lifted(keys) if lift else keys
        self.index = faiss.IndexHNSWFlat(x.shape[1], 32, faiss.METRIC_L2 if lift else faiss.METRIC_INNER_PRODUCT)
        self.index.hnsw.efConstruction = 200
        self.index.add(x)
        self.bytes = x.nbytes + faiss.vector_to_array(self.index.hnsw.neighbors).nbytes

    def set(self, ef):
        self.index.hnsw.efSearch = ef

    def search(self, queries, k):
        return self.index.search(widened(queries) if self.lift else queries, k)[1]

    def scanned(self, queries, k):
        out = []
        for query in queries:
            faiss.cvar.hnsw_stats.reset()
            self.search(query[None], k)
            out.append(faiss.cvar.hnsw_stats.ndis)
        return np.array(out)


class Hnswlib:
    points = FaissHnsw.points

    def __init__(self, keys, lift, threads):
        self.lift = lift
        x = lifted(keys) if lift else keys
        self.index = hnswlib.Index("l2" if lift else "ip", x.shape[1])
        self.index.init_index(len(x), ef_construction=200, M=32, random_seed=SEED)
        self.index.add_items(x, num_threads=threads)
        self.bytes = x.nbytes + len(x) * (2 * 32 * 4 + 8)

    def set(self, ef):
        self.index.set_ef(ef)

    def search(self, queries, k):
        return self.index.knn_query(widened(queries) if self.lift else queries, k, num_threads=1)[0]

    def scanned(self, queries, k):
        return None


def peers(threads):
    """index text -> how to build it."""
    table = {}
    for lists in (256, 711, 2048):  # 711 = 4 sqrt(31,616)
        table[f"faiss-ivf:lists={lists}"] = lambda keys, lists=lists: Ivf(keys, lists, l2=False)
        table[f"faiss-ivf-l2:lists={lists}"] = lambda keys, lists=lists: Ivf(keys, lists, l2=True)
        table[f"faiss-ivfpq:lists={lists}"] = lambda keys, lists=lists: IvfPq(keys, lists)
    for lift, name in ((False, ""), (True, "-lift")):
        table[f"faiss-hnsw{name}:m=32,ef_construction=200"] = lambda keys, lift=lift: FaissHnsw(keys, lift)
        table[f"hnswlib{name}:m=32,ef_construction=200"] = lambda keys, lift=lift: Hnswlib(keys, lift, threads)
    return table


def provenance(threads):
    cpu = next(line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name"))
    version = importlib.metadata.version
    return {"cpu": cpu, "cores": os.cpu_count(), "threads": threads, "isa": faiss.get_compile_options().strip(),
            "git_commit": "", "load_1m": os.getloadavg()[0],
            "libs": {"faiss": version("faiss-cpu"), "faiss_options": faiss.get_compile_options().strip(),
                     "hnswlib": version("hnswlib"), "numpy": np.__version__}}


def record(kind, index, config, metrics, samples, threads, detail=None):
    tool = index.split("-")[0].split(":")[0].replace("faiss", "faiss-cpu")
    return {"schema_version": 1, "tool": tool, "tool_version": importlib.metadata.version(tool), "kind": kind,
            "time_utc": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"), "run_id": RUN_ID,
            "pair": None, "status": "ok", "status_detail": detail, "provenance": provenance(threads), "config": config,
            "metrics": metrics, "samples": samples}


def measure(peer, group, k):
    """ids [positions, heads, k] and the microseconds of each call, after a warm-up."""
    positions = len(group.queries)
    for i in range(min(16, positions)):
        peer.search(group.queries[i], k)
    ids, us = [], []
    for i in range(positions):
        start = time.perf_counter()
        found = peer.search(group.queries[i], k)
        us.append(1e6 * (time.perf_counter() - start))
        ids.append(found)
    return np.array(ids), np.array(us)


def run(name, build, group, k, threads, write):
    about = group.about
    faiss.omp_set_num_threads(threads)
    start, cpu = time.perf_counter(), time.process_time()
    peer = build(group.keys)
    common = {"model_sha256": about[0]["model_sha256"], "input_sha256": about[0]["dump_sha256"], "seed": SEED,
              "threads": threads, "deterministic": False, "keys": f"{about[0]['first_key']}-{about[0]['last_key']}",
              "layer": about[0]["layer"], "kv_head": about[0]["kv_head"], "index": name, "n_keys": len(group.keys)}
    write(record("build", name, {**common, "head": None, "n_train": 0},
                 {"build_ms": 1000 * (time.perf_counter() - start), "cpu_s": time.process_time() - cpu,
                  "index_bytes": peer.bytes, "key_copy_bytes": group.keys.nbytes}, {}, threads))
    faiss.omp_set_num_threads(1)
    heads, flat = len(about), group.queries.reshape(-1, group.queries.shape[2])
    for point in peer.points:
        peer.set(**point)
        ids, us = measure(peer, group, k)
        scanned = peer.scanned(flat, k)
        if scanned is not None:
            scanned = scanned.reshape(-1, heads) / len(group.keys)
        for set_name, rows in group.sets.items():
            for h, head in enumerate(about):
                found = [set(f[f >= 0]) for f in ids[rows, h]]
                recall = np.array([len(f.intersection(e)) / k for f, e in zip(found, group.exact[rows, h])])
                first = rows.start or 0
                mass = np.array([[group.mass(first + i, h, np.fromiter(f, "i8")), group.mass(first + i, h, e)]
                                 for i, (f, e) in enumerate(zip(found, group.exact[rows, h]))])
                metrics = {"recall_id": recall.mean(), "recall_id_p05": np.quantile(recall, 0.05), "recall_id_min": recall.min(),
                           "mass_k_frac": mass[:, 0].mean(), "mass_ratio": (mass[:, 0] / mass[:, 1]).mean(),
                           "scanned_frac": None if scanned is None else scanned[rows, h].mean(),
                           "query_us": np.median(us[rows]) / heads, "queries_per_s": 1e6 * heads / us[rows].mean()}
                write(record("recall", name,
                             {**common, "head": head["head"], "search": ",".join(f"{a}={b}" for a, b in point.items()), "k": k,
                              "n_queries": len(recall), "query_set": set_name, "direction": "q_to_k", "batch": heads},
                             {a: None if b is None else float(b) for a, b in metrics.items()},
                             {"query_us": [np.round(us[rows] / heads, 3).tolist()]}, threads,
                             "keys scanned are not counted by this library" if scanned is None else None))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("-k", type=int, default=100)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--only", help="names of peers, joined by commas")
    o = parser.parse_args()
    groups = {}
    for about in sorted(o.folder.glob("layer*_head*.json")):
        j = json.loads(about.read_text())
        groups.setdefault((j["layer"], j["kv_head"]), []).append(about.stem)
    if not groups:
        raise SystemExit(f"{o.folder}: no sets of `ra-recall export --format npy`")
    table = peers(o.threads)
    names = {name.partition(":")[0] for name in table}
    only = set(o.only.split(",")) if o.only else names
    if only - names:
        raise SystemExit(f"--only: unknown {', '.join(sorted(only - names))}; known: {', '.join(sorted(names))}")
    with open(o.out, "a") as out:
        def write(r):
            out.write(json.dumps(r) + "\n")
            out.flush()
        for (layer, kv_head), sets in groups.items():
            group = Group(o.folder, sets, o.k)
            for name, build in table.items():
                if name.partition(":")[0] in only:
                    print(f"layer {layer} KV head {kv_head} {name}", flush=True)
                    run(name, build, group, o.k, o.threads, write)


if __name__ == "__main__":
    main()
