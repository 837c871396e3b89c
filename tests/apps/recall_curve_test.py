# SPDX-License-Identifier: Apache-2.0
"""ra-recall curve over many heads: what a record says beside recall, tables, --resume, saved indexes."""
import csv
import io
import json

import numpy as np
import pytest

from recall_test import (DECODE, FIRST, HEADS, KV_HEADS, LAST, LAYERS, N, PROGRAM, SELECT, TESTS, available, dump,
                         fails, records, run, toy, write_dump)

pytestmark = PROGRAM.needed
__all__ = ["dump", "toy"]  # fixtures


def test_the_error_is_split_at_the_exact_top_k(dump):
    """full -> exact top k -> index: the middle rung is the same for every index, and flat loses nothing more."""
    found = records("curve", "-d", dump, *SELECT, "-k", 7, "--index", "flat", "--index", "roar:ef=8", "--layers", 0)
    rungs = {}
    for r in found["recall"]:
        c, m = r["config"], r["metrics"]
        exact = (m["exact_mass_k_frac"], m["exact_mass_all_frac"], m["exact_output_rel_l2"])
        assert rungs.setdefault((c["head"], c["query_set"]), exact) == exact
        assert m["mass_all_frac"] <= exact[1] * (1 + 1e-9)
        if c["index"] == "flat":
            assert (m["mass_k_frac"], m["mass_all_frac"], m["output_rel_l2"]) == pytest.approx(exact, rel=1e-4)
    assert any(r["metrics"]["mass_all_frac"] < r["metrics"]["exact_mass_all_frac"] for r in found["recall"])


def test_recall_by_position_is_numpys(toy, dump):
    found = records("curve", "-d", dump, *SELECT, "-k", 7, "--index", "roar:ef=8", "--layers", 0, "--heads", 2)
    assert len(found["recall"]) == 2
    for r in found["recall"]:
        k, _, q = toy.head(0, 2)
        exact = np.zeros(10, int)
        for p in TESTS[r["config"]["query_set"]]:
            np.add.at(exact, np.argsort(-(k[FIRST:LAST + 1] @ q[p]), kind="stable")[:7] * 10 // N, 1)
        parts, recall = r["by_key_decile"], np.array(r["samples"]["recall_id"][0])
        assert parts["exact"] == exact.tolist()
        assert all(f <= e for f, e in zip(parts["found"], parts["exact"]))
        assert sum(parts["found"]) == pytest.approx(7 * recall.sum())
        assert r["metrics"]["recall_id_min"] == recall.min() == recall[r["metrics"]["worst_query"]]
        if r["config"]["query_set"] == "prompt":  # 80 queries, 8 in each part
            assert r["recall_by_query_decile"] == pytest.approx(recall.reshape(10, 8).mean(1))
        else:
            assert "recall_by_query_decile" not in r  # 9 queries


def test_keys_as_a_bf16_cache_has_them(dump, tmp_path):
    """Rounded to nearest even, keys and their exact best alike; the record says so."""
    def keys(*more):
        out = tmp_path / f"npy{len(more)}"
        run("export", "-q", "-d", dump, *SELECT, "--layers", 0, "--heads", 0, "--format", "npy", "-o", out, *more)
        return np.load(out / "layer000_head000" / "K.npy")
    stored, rounded = keys(), keys("--kv-dtype", "bf16")
    bits = stored.astype(np.float32).view(np.uint32).astype(np.uint64)
    want = ((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000).astype(np.uint32).view(np.float32)
    assert np.array_equal(rounded, want) and not np.array_equal(rounded, stored)
    for r in records("curve", "-d", dump, *SELECT, "-k", 7, "--index", "flat", "--layers", 0,
                     "--kv-dtype", "bf16")["recall"]:
        assert r["metrics"]["recall_id"] == 1
        assert r["config"]["kv_dtype"] == "bf16"


@pytest.mark.parametrize("index", ["flat", "roar:ef=30", "qgraph:worth=20"])
def test_a_group_searched_together_finds_what_each_head_finds(dump, index):
    group = HEADS // KV_HEADS
    one, together = (records("curve", "-d", dump, *SELECT, "-k", 9, "--index", index, "--layers", 2, "--batch", batch)["recall"]
                     for batch in ("query", "group"))
    key = lambda r: (r["config"]["head"], r["config"]["query_set"])
    together = {key(r): r for r in together}
    assert len(together) == len(one) == HEADS * 2
    for r in one:
        both = together[key(r)]
        assert both["config"].pop("batch") == group and both["config"] == r["config"]
        assert both["samples"]["recall_id"] == r["samples"]["recall_id"]
        if index == "flat":  # the keys are read once for the group
            assert both["metrics"]["work_bytes"] == r["metrics"]["work_bytes"] / group
            assert both["metrics"]["work_distances"] == r["metrics"]["work_distances"]
    work = lambda found: sum(r["metrics"]["work_distances"] for r in found)
    assert work(together.values()) == pytest.approx(work(one))


@pytest.mark.parametrize("index", ["flat", "qgraph:worth=20", "qivf:probes=4"])
def test_a_shortlist_counts_for_each_head_of_its_group(dump, index):
    arguments = ["curve", "-d", dump, *SELECT, "-k", 9, "--index", index, "--layers", 2, "--batch", "group", "--untimed"]
    own, shared = (records(*arguments, "--select", select)["recall"] for select in ("head", "group"))
    for a, b in zip(own, shared, strict=True):
        assert "select" not in a["config"] and b["config"].pop("select") == "group" and a["config"] == b["config"]
        assert a["metrics"]["attended_mean"] == 9 < b["metrics"]["attended_mean"]
        if index != "qivf:probes=4":  # the hits of all
            assert b["metrics"]["attended_mean"] <= 9 * HEADS / KV_HEADS
            assert b["metrics"]["recall_id"] >= a["metrics"]["recall_id"] and b["metrics"]["mass_ratio"] > a["metrics"]["mass_ratio"]
    assert "--batch group" in fails(2, "curve", "-d", dump, "--index", index, "--select", "group", "-o", "-")
    assert "--direction" in fails(2, *arguments, "--select", "group", "--direction", "both", "-o", "-")


@pytest.mark.parametrize("index", ["roar:ef=30", "qgraph:k=9,worth=20"])  # qgraph: what warms up must not help
def test_untimed_queries_find_the_same(dump, index):
    arguments = ["curve", "-d", dump, *SELECT, "-k", 9, "--index", index, "--layers", 2]
    timed, untimed = records(*arguments)["recall"], records(*arguments, "--untimed", "--no-samples")["recall"]
    for a, b in zip(timed, untimed, strict=True):
        assert a["config"] == b["config"]
        assert b["metrics"].pop("query_us") is None and b["metrics"].pop("queries_per_s") is None
        assert a["metrics"] == {**a["metrics"], **b["metrics"]}
        assert b["samples"] == {} and b["percentiles"]["recall_id"] == a["percentiles"]["recall_id"]
        assert "not timed" in b["status_detail"]


# ---- --resume ---------------------------------------------------------------------------------------

def test_resume_computes_only_what_is_missing(dump, tmp_path):
    out = tmp_path / "out.jsonl"
    indexes = ["--index", "roar:ef=20/40", "--index", "roar:share=head,m=8", "--index", "flat"]
    curve = ["curve", "-d", dump, *SELECT, "-k", 20, *indexes, "--direction", "both", "--layers", 2]
    whole = run(*curve, "-o", out).stdout
    lines = out.read_text().splitlines(keepends=True)

    def point(line):
        """A record without its times."""
        r = json.loads(line)
        steady = {k: v for k, v in r["metrics"].items() if k.startswith(("recall", "mass", "work", "degree"))}
        return json.dumps([r["kind"], r["config"], steady])

    def resumed():
        shown = run(*curve, "-o", out, "--resume").stdout
        now = out.read_text().splitlines(keepends=True)
        assert sorted(map(point, now)) == sorted(map(point, lines))
        return shown, now

    shown, now = resumed()
    assert now == lines and shown == whole, "nothing is computed twice, and the table is that of all records"
    for keep in (1, 7, len(lines) // 2, len(lines) - 1):
        out.write_text("".join(lines[:keep]) + lines[keep][:100])  # torn by the interruption
        _, now = resumed()
        assert now[:keep] == lines[:keep]
    out.unlink()
    resumed()
    fails(2, *curve, "--resume", "-o", "-", say="-o")
    out.write_text("{\n" + lines[0])
    fails(65, *curve, "-o", out, "--resume", say="line 1: not JSON")


# ---- tables -----------------------------------------------------------------------------------------

def test_the_table_has_the_spread_over_heads_and_leaves_out_what_is_beaten(dump, tmp_path):
    out = tmp_path / "out.jsonl"
    indexes = ["roar:ef=10/100", "roar:metric=raw,pool=0,repair=0,entry=centroid,ef=100", "flat"]
    curve = ["curve", "-d", dump, *SELECT, "-k", 10, *(w for i in indexes for w in ("--index", i)), "--untimed"]
    table = lambda *more: list(csv.DictReader(io.StringIO(run(*curve, "--format", "csv", *more).stdout)))
    rows = table("--raw", "-o", out)
    points = {}
    for r in map(json.loads, out.read_text().splitlines()):
        if r["kind"] == "recall":
            c = r["config"]
            points.setdefault((c["index"], c["search"], c["query_set"]), []).append((r["metrics"]["recall_id"], r))
    assert {(row["index"], row["search"], row["query_set"]) for row in rows} == set(points) and len(rows) == 4 * 2
    for row in rows:
        heads = points[row["index"], row["search"], row["query_set"]]
        recall = [value for value, _ in heads]
        assert int(row["heads"]) == len(heads) == len(LAYERS) * HEADS
        assert float(row["recall_id"]) == pytest.approx(np.mean(recall), abs=1e-6)
        assert float(row["recall_id_p05_heads"]) == pytest.approx(np.quantile(recall, 0.05), abs=1e-6)
        assert float(row["recall_id_worst"]) == pytest.approx(min(recall), abs=1e-6)
        assert row["worst_layer/head"] in [f"{r['config']['layer']}/{r['config']['head']}" for value, r in heads
                                           if value == min(recall)]
        assert float(row["scanned_frac"]) == pytest.approx(np.mean([r["metrics"]["scanned_frac"] for _, r in heads]), abs=1e-6)
        assert row["query_us"] == "-" and float(row["build_s"]) >= 0 and float(row["bytes_per_key"]) >= 0

    def beaten(a):
        x = float(a["recall_id"]), -float(a["scanned_frac"])
        others = [(float(b["recall_id"]), -float(b["scanned_frac"])) for b in rows if b["query_set"] == a["query_set"]]
        return any(y[0] >= x[0] and y[1] >= x[1] and y != x for y in others)

    names = lambda found: [(r["index"], r["search"], r["query_set"]) for r in found]
    assert names(table()) == names(r for r in rows if not beaten(r))
    assert any(map(beaten, rows)), "this test needs a point to leave out"
    shown = run(*curve).stdout
    assert "dominated points left out" in shown and "prompt queries, 8 heads" in shown
    assert all(len(line) <= 110 for line in shown.splitlines())


# ---- --repeats --------------------------------------------------------------------------------------

REPEATS = ["curve", "-d", "DUMP", *SELECT, "-k", 10, "--layers", 2, "--untimed", "--index", "roar:beam=20,ef=10,m=4",
           "--train", 100, "--test-draw", 30]


def repeats(dump, *more, seed=4):
    return [dump if a == "DUMP" else a for a in REPEATS] + ["--seed", seed, *more]


def test_each_repeat_is_the_run_of_its_seed(dump):
    found = records(*repeats(dump, "--repeats", 3))
    key = lambda r: (r["config"]["head"], r["config"]["query_set"])
    by_seed = {seed: {key(r): r for r in found["recall"] if r["config"]["seed"] == seed} for seed in (4, 5, 6)}
    assert sum(map(len, by_seed.values())) == len(found["recall"]) == 3 * HEADS * 2
    alone = records(*repeats(dump, "--train-pick", "drawn", seed=5))
    for r in alone["recall"]:
        assert (r["config"], r["metrics"]) == (by_seed[5][key(r)]["config"], by_seed[5][key(r)]["metrics"])
        assert r["config"]["train_pick"] == "drawn" and r["config"]["test_draw"] == 30
        assert r["config"]["n_queries"] == (30 if r["config"]["query_set"] == "prompt" else DECODE)
    # Other queries and another graph: hardly a head has the same answers twice.
    same = [all(by_seed[s][k]["samples"] == by_seed[4][k]["samples"] for s in (5, 6)) for k in by_seed[4]]
    assert not all(same)
    even = records(*repeats(dump))["recall"]
    assert all("train_pick" not in r["config"] for r in even)


def test_the_spread_over_seeds_is_numpys(dump, tmp_path):
    out = tmp_path / "out.jsonl"
    shown = run(*repeats(dump, "--repeats", 3, "-o", out)).stdout
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    summed = {r["config"]["query_set"]: r for r in lines if r["kind"] == "repeats"}
    assert set(summed) == {"prompt", "decode"}
    csv_rows = list(csv.DictReader(io.StringIO(run(*repeats(dump, "--repeats", 3, "-o", out, "--resume", "--format", "csv")).stdout)))
    assert len(out.read_text().splitlines()) == len(lines), "a resumed run adds nothing"
    for name, r in summed.items():
        recall = np.array([[x["metrics"]["recall_id"] for x in lines if x["kind"] == "recall" and x["config"]["query_set"] == name
                            and x["config"]["seed"] == seed] for seed in (4, 5, 6)])  # [seed, head]
        assert recall.shape == (3, HEADS) and r["config"]["seeds"] == [4, 5, 6]
        assert r["config"]["heads"] == [f"2/{h}" for h in range(HEADS)] and "seed" not in r["config"]
        m = r["metrics"]
        assert r["samples"]["recall_id"] == recall.tolist()
        assert m["recall_id"] == pytest.approx(recall.mean())
        assert m["recall_id_sd"] == pytest.approx(recall.mean(1).std(ddof=1)) and m["recall_id_sd"] > 0
        assert m["recall_id_head_min"] == pytest.approx(recall.mean(0).min())
        assert m["recall_id_head_p05"] == pytest.approx(np.quantile(recall.mean(0), 0.05))
        assert m["query_us"] is None and m["query_us_sd"] is None
        [row] = [row for row in csv_rows if row["query_set"] == name]
        assert (row["seeds"], row["heads"]) == ("3", str(HEADS))
        assert float(row["recall_id_sd"]) == pytest.approx(m["recall_id_sd"], abs=1e-6)
        assert float(row["recall_id_worst"]) == pytest.approx(recall.mean(0).min(), abs=1e-6)
    assert "4 heads, 3 seeds" in shown and f"| {summed['prompt']['metrics']['recall_id_sd']:.4f} |" in shown


def test_repeats_say_what_does_not_differ(dump, tmp_path):
    curve = ["curve", "-d", dump, *SELECT, "-k", 5, "--layers", 2, "--heads", 0, "--index", "flat", "--format", "none"]
    warned = lambda *more: PROGRAM.run(*curve, *more).stderr
    assert "the same training and test queries" in warned("--repeats", 2)
    assert "the same test queries" in warned("--repeats", 2, "--train", 50)
    assert "the same training queries" in warned("--repeats", 2, "--test-draw", 5)
    assert warned("--repeats", 2, "--train", 50, "--test-draw", 5) == warned() == ""
    fails(2, *curve, "--repeats", 0)
    fails(2, *curve, "--repeats", 2, "--load", tmp_path, say="--repeats")


# ---- saved indexes ----------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def saved(dump, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved") / "indexes"
    specs = ["flat", "roar:ef=20/60", "roar:share=head,m=8,ef=40", "qivf:segment=128,probes=2/8", "qscan:rank=8,rerank=20"] + (["ivf:lists=16,probes=4"] if available("ivf") else [])
    indexes = [word for spec in specs for word in ("--index", spec)]
    run("build", "-d", dump, *SELECT, *indexes, "--layers", 2, "--save", folder)
    return folder, indexes


def test_a_loaded_index_is_the_built_one(dump, saved):
    folder, indexes = saved
    curve = ["curve", "-d", dump, *SELECT, "-k", 10, *indexes, "--layers", 2, "--untimed"]
    built, loaded = records(*curve), records(*curve, "--load", folder)
    assert [(r["config"], r["metrics"]) for r in built["recall"]] == [(r["config"], r["metrics"]) for r in loaded["recall"]]
    for a, b in zip(built["build"], loaded["build"], strict=True):
        for name in ("index_bytes", "key_copy_bytes", "degree_mean", "reachable_frac"):
            assert a["metrics"][name] == b["metrics"][name], (a["config"]["index"], name)
    again = ["build", "-d", dump, *SELECT, *indexes, "--layers", 2, "--save", folder, "--format", "none"]
    fails(73, *again, say="--force")
    run(*again, "--force")


def test_a_saved_index_of_something_else_is_refused(toy, dump, saved, tmp_path):
    folder, _ = saved
    out = tmp_path / "out.jsonl"

    def refused(code, say, source=dump, select=SELECT, index="roar:ef=20/60", more=()):
        fails(code, "curve", "-d", source, *select, "-k", 10, "--index", index, "--layers", 2, "--load", folder, "-o", out,
              *more, say=say)

    refused(65, "n_keys: 500 in the file", select=["--keys", f"{FIRST + 1}-{LAST}"])
    refused(65, "n_train", more=["--train", 50])
    refused(65, "seed", more=["--seed", 5])
    other = tmp_path / "other.h5"
    write_dump(other, {layer: np.roll(x, 1, axis=2) for layer, x in toy.k.items()}, toy.v, toy.q)
    refused(65, "keys_sha256", source=other)
    refused(66, "layer002_kv00_roar_", index="roar:m=9")
    if available("hnsw"):
        refused(2, "cannot be saved", index="hnsw")
    assert not out.exists()
    if available("hnsw"):
        fails(2, "build", "-d", dump, *SELECT, "--index", "flat;hnsw", "--save", tmp_path / "none", say="'hnsw' cannot be saved")
    assert not (tmp_path / "none").exists()


def test_a_damaged_saved_index_is_refused(dump, saved, tmp_path):
    folder, _ = saved
    [source] = [p for p in folder.glob("layer002_kv00_roar_*") if b'"index":"roar"' in p.read_bytes()[:4096]]
    good, file = source.read_bytes(), tmp_path / source.name
    curve = ["curve", "-d", dump, *SELECT, "-k", 10, "--index", "roar:ef=20/60", "--layers", 2, "--kv-heads", 0,
             "--load", tmp_path]
    file.write_bytes(good)
    run(*curve)
    spoiled = good.replace(b'"n_keys":509', b'"n_keys":508'), good.replace(b'"n_keys":500', b'"n_keys":501')
    assert any(s != good for s in spoiled)
    for bytes_ in (b"", good[:60], good[:-1], b"IxF2" + good[4:], good[:-5] + bytes([good[-5] ^ 1]) + good[-4:],
                   good + b"x", *(s for s in spoiled if s != good)):
        file.write_bytes(bytes_)
        fails(65, *curve, say=f"bad saved index: {file}")
