#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Parity at lengths where logits and Q, K, V of every token fit no test file: the last 1,024 tokens of
a long text, `ra-dump` beside `transformers` in f32. The reference is computed once and kept.

    long.py MODEL.gguf -f TEXT -n TOKENS [--yarn FACTOR] [--compute f32] -o results/long.jsonl

Appends one record and prints its line. Needs what make_reference.py needs; at 32,768 tokens of a
model of half a billion weights about ten minutes and 6 GB.
"""
import argparse
import datetime
import json
import os
import pathlib
import subprocess

import h5py
import numpy as np

LAST = 1024  # tokens that are compared


def expected(o, ids, kept):
    """nll, top1 and q, k, v at the last token from transformers."""
    if kept.exists():
        with np.load(kept) as f:
            return dict(f)
    import torch

    import reference

    torch.set_num_threads(os.cpu_count())
    rope = {"rope_type": "yarn", "factor": o.yarn, "original_max_position_embeddings": 32768} if o.yarn else None
    logits, q, k, v = reference.Reference(o.model, rope).run_at(ids, slice(len(ids) - 1, None), LAST)
    out = {"nll": reference.nll(logits[:-1], ids[-LAST:]), "top1": logits.argmax(axis=1), "q": q, "k": k, "v": v}
    kept.parent.mkdir(parents=True, exist_ok=True)
    np.savez(kept, **out)
    return out


def smallest_cosine(got, want, heads):
    """Over layers and heads of the last token."""
    g = got.reshape(want.shape[0], heads, -1).astype(np.float64)
    w = want.reshape(want.shape[0], heads, -1).astype(np.float64)
    return float(((g * w).sum(-1) / np.sqrt((g * g).sum(-1) * (w * w).sum(-1))).min())


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("model")
    p.add_argument("-f", "--text", required=True)
    p.add_argument("-n", "--tokens", type=int, required=True)
    p.add_argument("--yarn", type=float)
    p.add_argument("--compute", default="auto")
    p.add_argument("-o", "--output", required=True)
    p.add_argument("--ra-dump", default="build/release/apps/dump/ra-dump")
    o = p.parse_args()
    work = pathlib.Path("out/parity")
    work.mkdir(parents=True, exist_ok=True)
    name = f"{pathlib.Path(o.model).stem}-{o.tokens}" + (f"-yarn{o.yarn:g}" if o.yarn else "")

    scaling = ["--rope-scaling", "yarn", "--rope-scale", f"{o.yarn:g}"] if o.yarn else []
    dump = work / f"{name}-{o.compute}.h5"
    kv = ["--kv-dtype", "f32"] if o.compute == "f32" else []
    subprocess.run([o.ra_dump, "-m", o.model, "-f", o.text, "-n", str(o.tokens), "--queries", "last:1", "--logits",
                    "--dtype", "f32", "--compute", o.compute, *kv, *scaling, "--force", "-o", dump], check=True)
    with h5py.File(dump) as f:
        ids = f["tokens/ids"][:]
        nll = f["logits/nll"][-(LAST - 1):].astype(np.float64)
        layers = sorted(f["layers"])
        got = {n: np.stack([f[f"layers/{layer}/{n}"][:, -1] for layer in layers]) for n in "qkv"}
        heads = {n: got[n].shape[1] for n in "qkv"}
        version = {n: f.attrs[n].decode() for n in ("git_commit", "model_sha256")}
    dump.unlink()
    want = expected(o, ids, work / f"{name}.npz")
    difference = nll - want["nll"]
    metrics = {"nll": float(nll.mean()), "nll_abs_delta": float(np.abs(difference).mean()),
               "nll_delta": float(difference.mean()),
               **{f"cosine_{n}": smallest_cosine(got[n], want[n], heads[n]) for n in "qkv"}}
    record = {"schema_version": 1, "tool": "parity", "kind": "quality", "status": "ok", "status_detail": None,
              "time_utc": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
              "provenance": {"git_commit": version["git_commit"]},
              "config": {"model": pathlib.Path(o.model).stem, "model_sha256": version["model_sha256"],
                         "context": o.tokens, "yarn_factor": o.yarn, "compute": o.compute, "n_scored": LAST - 1},
              "metrics": metrics}
    with open(o.output, "a") as f:
        f.write(json.dumps(record) + "\n")
    print(f"| {name} | {o.compute} | {metrics['nll']:.4f} | {metrics['nll_abs_delta']:.6f} | {metrics['nll_delta']:+.6f} | "
          + " / ".join(f"{1 - metrics['cosine_' + n]:.1e}" for n in "qkv") + " |")


if __name__ == "__main__":
    main()
