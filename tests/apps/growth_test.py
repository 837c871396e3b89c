# SPDX-License-Identifier: Apache-2.0
"""ra-recall growth: indexes that take in decoded keys, against NumPy and against each other."""
import numpy as np
import pytest

from recall_test import (HEADS, KV_HEADS, LAYERS, PROGRAM, SCALE, SELECT, SINK, TOKENS, WINDOW, dump, fails, records, toy)

pytestmark = PROGRAM.needed
__all__ = ["dump", "toy"]  # fixtures

GROWTH = ["--decoded", 200, "--flush", 64, "--every", 10, *SELECT, "-k", 10]


def test_growth_by_position(toy, dump):
    found = records("growth", "-d", dump, *GROWTH, "--index", "qivf:segment=128,probes=2")["growth"]
    assert [(r["config"]["layer"], r["config"]["growth"]) for r in found] == [
        (layer, way) for layer in LAYERS for way in ("never", "flushed", "rebuilt")]
    prompt = TOKENS - 200
    for r in found:
        m, s = r["metrics"], {name: np.concatenate(x) for name, x in r["samples"].items()}
        assert s["position"].tolist() == [*range(prompt, TOKENS, 10), TOKENS - 1]
        assert set(s["position_new"]) <= set(s["position"]) and len(s["recall_new"]) == len(s["position_new"])
        for name in ("recall_id", "recall_old", "recall_new", "new_frac", "mass_all_frac", "scanned_frac"):
            assert m[name] == pytest.approx(np.mean(s[name])) and 0 <= s[name].min() <= s[name].max()
        if r["config"]["growth"] == "never":
            assert m["recall_new"] == 1, "the buffer is scanned exactly"
            assert s["scanned_frac"][-1] > s["scanned_frac"][0]
    for never, flushed, rebuilt in (found[:3], found[3:]):
        last = {r["config"]["growth"]: r["samples"]["scanned_frac"][0][-1] for r in (never, flushed, rebuilt)}
        assert last["flushed"] < last["never"] and flushed["metrics"]["grow_ms"] > 0 < rebuilt["metrics"]["grow_ms"]
        # Until the first flush all three are the same.
        for field in ("recall_id", "mass_all_frac", "scanned_frac"):
            first = [r["samples"][field][0][:6] for r in (never, flushed, rebuilt)]
            assert first[0] == first[1] == first[2]


def test_growth_with_everything_probed_is_exact(toy, dump):
    mass = {}
    for r in records("growth", "-d", dump, *GROWTH, "--layers", 2, "--index", "qivf:segment=128,probes=100000")["growth"]:
        assert r["metrics"]["recall_id"] == 1
        mass[r["config"]["growth"]] = r["samples"]["mass_all_frac"][0]
    assert mass["never"] == mass["flushed"] == mass["rebuilt"]
    last, total = TOKENS - 1, 0
    for head in range(HEADS):
        logits = SCALE * toy.q[2][head, last].astype("f8") @ toy.k[2][head * KV_HEADS // HEADS, :last + 1].astype("f8").T
        w = np.exp(logits - logits.max())
        kept = np.r_[:SINK, last - WINDOW:last + 1]
        middle = np.sort(w[SINK:last - WINDOW])[-10:]
        total += (w[kept].sum() + middle.sum()) / w.sum() / HEADS
    assert mass["never"][-1] == pytest.approx(total, abs=1e-5)


def test_growth_refuses(dump):
    fails(2, "growth", "-d", dump, *GROWTH, "--index", "flat", say="cannot grow")
    fails(2, "growth", "-d", dump, *GROWTH, "--index", "qivf:probes=8/16", say="give one probes")
    fails(2, "growth", "-d", dump, *GROWTH[2:], "--decoded", 600, "--index", "qivf:probes=4", say="--decoded")
    fails(66, "growth", "-d", "absent.h5", "--index", "qivf:probes=4")
