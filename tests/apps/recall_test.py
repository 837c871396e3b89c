# SPDX-License-Identifier: Apache-2.0
"""ra-recall on a small synthetic dump, its records against NumPy."""
import json
import pathlib

import h5py
import numpy as np
import pytest

from program import Program

PROGRAM = Program("recall", threads=2)
pytestmark = PROGRAM.needed

LAYERS, MODEL_LAYERS = (0, 2), 3
HEADS, KV_HEADS, DIM, VALUE_DIM = 4, 2, 16, 12
PROMPT, DECODE = 600, 9
TOKENS = PROMPT + DECODE
SINK, WINDOW = 20, 80
FIRST, LAST = SINK, PROMPT - WINDOW - 1
N = LAST - FIRST + 1
SCALE = 0.1
SELECT = ["--sink", SINK, "--window", WINDOW]


def text(value):
    return np.bytes_(value)


def write_dump(path, k, v, q, **changes):
    """k, v, q: layer -> [heads, T, dim]. The documented layout, section 2.1 and 2.2 of the format."""
    attributes = dict(
        format=text("retrieval-attention-dump"), format_version=np.int64(1), tool_version=text("0.1.0"),
        git_commit=text("abc"), command_line=text("test"), created_utc=text("2026-01-31T12:00:00Z"),
        seed=np.uint64(1), model_file=text("m.gguf"), model_sha256=text("ab" * 32), architecture=text("llama"),
        model_name=text("toy"), n_layers=np.int64(MODEL_LAYERS), n_heads=np.int64(HEADS),
        n_kv_heads=np.int64(KV_HEADS), head_dim=np.int64(DIM), value_dim=np.int64(VALUE_DIM),
        rope_style=text("half"), rope_base=np.float64(10000.0),
        rope_scaling=text(json.dumps({"type": "none", "factor": 1.0, "original_context": None, "rotary_dims": DIM})),
        dtype=text("f16"), n_tokens=np.int64(TOKENS), n_prefill=np.int64(PROMPT))
    attributes.update(changes.pop("attributes", {}))
    q_pos = changes.pop("q_pos", np.arange(TOKENS))
    assert not changes
    with h5py.File(path, "w", libver=("v110", "v110")) as f:
        f.attrs.update(attributes)
        put = lambda name, data: f.create_dataset(name, data=data, chunks=data.shape, fletcher32=True)
        put("tokens/ids", np.arange(TOKENS, dtype="i4") % 100)
        put("phase", (q_pos >= PROMPT).astype("u1"))
        for layer in k:
            put(f"layers/{layer:02}/k", k[layer])
            put(f"layers/{layer:02}/v", v[layer])
            d = put(f"layers/{layer:02}/q", np.ascontiguousarray(q[layer][:, q_pos]))
            d.attrs["scale"] = np.float64(SCALE)
            d.attrs["post_rope"] = np.uint8(1)
            put(f"layers/{layer:02}/q_pos", q_pos.astype("i8"))
        f.attrs["complete"] = np.uint8(1)


class Toy:
    """Keys and values per KV head, queries from another distribution, all exactly f16."""

    def __init__(self, seed=3):
        rng = np.random.default_rng(seed)
        draw = lambda *shape: rng.normal(size=shape).astype("f2")
        self.k, self.v, self.q = {}, {}, {}
        for layer in LAYERS:
            mix = rng.normal(size=(DIM, DIM)) * np.linspace(0.3, 2, DIM)
            self.k[layer] = (rng.normal(size=(KV_HEADS, TOKENS, DIM)) @ mix).astype("f2")
            self.v[layer] = draw(KV_HEADS, TOKENS, VALUE_DIM)
            self.q[layer] = (draw(HEADS, TOKENS, DIM) + 3 * rng.normal(size=DIM)).astype("f2")

    def head(self, layer, head):
        kv = head * KV_HEADS // HEADS
        return tuple(x.astype("f8") for x in (self.k[layer][kv], self.v[layer][kv], self.q[layer][head]))


@pytest.fixture(scope="module")
def toy():
    return Toy()


@pytest.fixture(scope="module")
def dump(toy, tmp_path_factory):
    path = tmp_path_factory.mktemp("recall") / "toy.h5"
    write_dump(path, toy.k, toy.v, toy.q)
    return path


run, fails = PROGRAM.run, PROGRAM.fails


def records(*arguments):
    """Records by kind from `-o -`."""
    done = run(*arguments, "-o", "-")
    out = {}
    for line in done.stdout.splitlines():
        record = json.loads(line)
        assert record["schema_version"] == 1 and record["tool"] == "ra-recall" and record["status"] == "ok"
        out.setdefault(record["kind"], []).append(record)
    return out


TESTS = {"prompt": np.arange(LAST + 1, PROMPT), "decode": np.arange(PROMPT, TOKENS)}


def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


def test_curve_flat_is_exact_and_mass_is_numpys(toy, dump):
    found = records("curve", "-d", dump, *SELECT, "-k", 7, "--index", "flat")
    assert len(found["build"]) == len(LAYERS) * KV_HEADS
    assert len(found["recall"]) == len(LAYERS) * HEADS * 2
    for r in found["recall"]:
        c, m = r["config"], r["metrics"]
        k, v, q = toy.head(c["layer"], c["head"])
        positions = TESTS[c["query_set"]]
        assert (c["k"], c["n_keys"], c["n_queries"], c["direction"]) == (7, N, len(positions), "q_to_k")
        assert c["kv_head"] == c["head"] * KV_HEADS // HEADS
        expected = {n: [] for n in ("mass_k_frac", "mass_all_frac", "output_rel_l2")}
        for p in positions:
            scores = k[FIRST:LAST + 1] @ q[p]
            top = FIRST + np.argsort(-scores, kind="stable")[:7]
            weights = softmax(SCALE * (k[:p + 1] @ q[p]))
            static = np.r_[0:FIRST, LAST + 1:p + 1]
            kept = np.r_[static, top]
            full, part = weights @ v[:p + 1], (weights[kept] @ v[kept]) / weights[kept].sum()
            expected["mass_k_frac"].append(weights[top].sum() / weights[FIRST:LAST + 1].sum())
            expected["mass_all_frac"].append(weights[kept].sum())
            expected["output_rel_l2"].append(np.linalg.norm(part - full) / np.linalg.norm(full))
        for name, values in expected.items():
            assert m[name] == pytest.approx(np.mean(values), rel=1e-4, abs=1e-6), name
        assert m["recall_tie"] == 1 and m["robust_90_frac"] == 1
        assert m["recall_id"] == pytest.approx(1, abs=1e-3)
        assert m["mass_ratio"] == pytest.approx(1, rel=1e-4)
        assert m["scanned_frac"] == 1 and m["work_distances"] == N
        assert m["query_us"] > 0
        assert len(r["samples"]["query_us"][0]) == len(positions) == r["percentiles"]["recall_id"]["n"]


def test_everything_retrieved_is_full_attention(dump):
    found = records("curve", "-d", dump, *SELECT, "-k", N, "--index", "flat", "--layers", 0, "--heads", 1)
    for r in found["recall"]:
        assert r["metrics"]["mass_all_frac"] == pytest.approx(1, abs=1e-6)
        assert r["metrics"]["output_rel_l2"] < 1e-5


def available(name):
    return f"| {name} " in run("list").stdout


@pytest.mark.parametrize("spec,effort", [("roar:metric=query,ef=50/500", "ef"), ("ivf:lists=16,probes=1/16", "probes"),
                                         ("hnsw:m=8,ef=50/500", "ef"), ("roar:share=head,ef=50/500", "ef")])
def test_curve_recall_rises_with_effort(dump, spec, effort):
    if not available(spec.partition(":")[0]):
        pytest.skip(f"{spec}: not in this build")
    found = records("curve", "-d", dump, *SELECT, "-k", 10, "--index", spec, "--layers", 2)
    low, high = spec.rpartition("=")[2].split("/")
    for head in range(HEADS):
        of_head = {r["config"]["search"]: r["metrics"] for r in found["recall"]
                   if r["config"]["head"] == head and r["config"]["query_set"] == "prompt"}
        assert set(of_head) == {f"{effort}={low}", f"{effort}={high}"}
        a, b = of_head[f"{effort}={low}"], of_head[f"{effort}={high}"]
        assert a["recall_id"] <= b["recall_id"] and a["scanned_frac"] < b["scanned_frac"]
        assert b["recall_id"] > 0.95 and b["mass_ratio"] > 0.97
    builds = found["build"]
    assert len(builds) == (HEADS if "share=head" in spec else KV_HEADS)
    for b in builds:
        assert b["metrics"]["build_ms"] > 0 and 0 < b["metrics"]["reachable_frac"] <= 1
        expected = 0 if not spec.startswith("roar") else (LAST + 1) * (1 if "share=head" in spec else HEADS // KV_HEADS)
        assert b["config"]["n_train"] == expected


def test_default_sweep_doubles(dump):
    found = records("curve", "-d", dump, *SELECT, "-k", 20, "--index", "roar", "--layers", 0, "--heads", 0)
    efforts = [r["config"]["search"] for r in found["recall"] if r["config"]["query_set"] == "prompt"]
    assert efforts == ["ef=20", "ef=40", "ef=80", "ef=160", "ef=320"]  # up to 16 k and the number of keys


def test_default_sweep_ends_when_every_list_is_read(dump):
    if not available("ivf"):
        pytest.skip("ivf: not in this build")
    found = records("curve", "-d", dump, *SELECT, "-k", 20, "--index", "ivf:lists=6", "--layers", 0, "--heads", 0)
    efforts = [r["config"]["search"] for r in found["recall"] if r["config"]["query_set"] == "prompt"]
    assert efforts == ["probes=1", "probes=2", "probes=4", "probes=8"]


def test_control_excludes_the_self_match(toy, dump):
    found = records("curve", "-d", dump, *SELECT, "-k", 5, "--index", "flat", "--direction", "both", "--layers", 0,
                    "--samples", 50)
    control = [r for r in found["recall"] if r["config"]["direction"] == "k_to_k"]
    assert len(control) == KV_HEADS
    for r in control:
        assert r["config"]["n_queries"] == 50 and r["config"]["query_set"] == "keys" and r["config"]["head"] is None
        assert r["metrics"]["recall_tie"] == 1
        assert r["metrics"]["mass_k_frac"] is None and r["status_detail"]


def test_ood_is_numpys_mahalanobis(toy, dump):
    found = records("ood", "-d", dump, *SELECT, "--samples", 40)["ood"]
    assert len(found) == len(LAYERS) * HEADS * 2
    everything = records("ood", "-d", dump, *SELECT)["ood"]
    for r in found + everything:
        c, m = r["config"], r["metrics"]
        assert c["n_fit"] + c["n_key"] == N and c["n_key"] == min(c["n_key"], N // 5)
        k, _, q = toy.head(c["layer"], c["head"])
        # The fit leaves a fifth or less of the keys out, so NumPy on all keys is close, not equal.
        x, tests = k[FIRST:LAST + 1], q[TESTS[c["query_set"]]] - k[FIRST:LAST + 1].mean(0)
        inverse = np.linalg.inv(np.cov(x.T))
        d2 = np.einsum("ij,jk,ik->i", tests, inverse, tests)
        if c["n_query"] == len(d2):
            assert m["mahalanobis_sq_q_mean"] == pytest.approx(d2.mean(), rel=0.15)
            assert m["mahalanobis_q_p50"] == pytest.approx(np.median(np.sqrt(d2)), rel=0.1)
        assert m["mahalanobis_sq_k_mean"] == pytest.approx(DIM, rel=0.5)
        assert m["mahalanobis_ratio"] == pytest.approx(m["mahalanobis_q_p50"] / m["mahalanobis_k_p50"])
        assert m["auc"] > 0.9 and m["condition_number"] > 1
        samples = r["samples"]
        assert len(samples["mahalanobis_q"][0]) == c["n_query"] and len(samples["mahalanobis_k"][0]) == c["n_key"]
        assert np.mean(np.square(samples["mahalanobis_q"])) == pytest.approx(m["mahalanobis_sq_q_mean"])


def test_sparsity_is_numpys(toy, dump):
    found = records("sparsity", "-d", dump, *SELECT, "--ks", "1,25", "--heads", 3)["sparsity"]
    assert len(found) == len(LAYERS) * 2 * 2
    for r in found:
        c, m = r["config"], r["metrics"]
        k, _, q = toy.head(c["layer"], c["head"])
        own, fixed, half, need, sink, window, entropy = [], [], [], [], [], [], []
        first = None
        for p in TESTS[c["query_set"]]:
            w = softmax(SCALE * (k[:p + 1] @ q[p]))
            indexed = w[FIRST:LAST + 1] / w[FIRST:LAST + 1].sum()
            order = np.argsort(-indexed, kind="stable")
            first = order if first is None else first
            own.append(indexed[order[:c["k"]]].sum())
            fixed.append(indexed[first[:c["k"]]].sum())
            half.append(np.searchsorted(np.cumsum(indexed[order]), 0.5) + 1)
            need.append(np.searchsorted(np.cumsum(indexed[order]), 0.9) + 1)
            sink.append(w[:FIRST].sum())
            window.append(w[LAST + 1:].sum())
            entropy.append(-(w * np.log(w)).sum())
        for name, values in dict(recovery_dynamic_frac=own, recovery_static_frac=fixed, k_for_50=half, k_for_90=need,
                                 sink_frac=sink, window_frac=window, entropy_nats=entropy).items():
            assert m[name] == pytest.approx(np.mean(values), rel=1e-6), name


def test_samples_can_be_left_out(dump):
    for command in ("ood", "sparsity"):
        for r in records(command, "-d", dump, *SELECT, "--no-samples", "--layers", 0)[command]:
            assert r["samples"] == {} and r["percentiles"]


def test_overlap_is_numpys(toy, dump):
    most = 10
    found = records("overlap", "-d", dump, *SELECT, "-k", most, "--lags", "4,1,8,70,1000")["overlap"]
    assert len(found) == len(LAYERS) * HEADS * 2

    def attention(layer, head, query_set):
        """Per query: weights of all keys, ids of the top ones of the indexed."""
        k, _, q = toy.head(layer, head)
        weights = [softmax(SCALE * (k[:p + 1] @ q[p])) for p in TESTS[query_set]]
        return weights, [set(FIRST + np.argsort(-w[FIRST:LAST + 1], kind="stable")[:most]) for w in weights]

    def share(own, other):
        return np.mean([len(a & b) / most for a, b in zip(own, other)])

    def mass_ratio(weights, own, other):
        return np.mean([w[list(b)].sum() / w[list(a)].sum() for w, a, b in zip(weights, own, other)])

    for r in found:
        c, m = r["config"], r["metrics"]
        weights, own = attention(c["layer"], c["head"], c["query_set"])
        static = [w[:FIRST].sum() + w[LAST + 1:].sum() for w in weights]
        assert (c["k"], c["n_keys"], c["n_queries"]) == (most, N, len(own))
        assert m["exact_mass_all_frac"] == pytest.approx(np.mean([s + w[list(a)].sum() for s, w, a in zip(static, weights, own)]))
        lags = r["by_lag"]
        assert lags["lag"] == [lag for lag in (1, 4, 8, 70) if lag < len(own)]
        for i, lag in enumerate(lags["lag"]):
            late, w, before = own[lag:], weights[lag:], own[:-lag]
            assert lags["overlap_frac"][i] == pytest.approx(share(late, before))
            assert lags["mass_ratio"][i] == pytest.approx(mass_ratio(w, late, before), rel=1e-5)
            assert lags["mass_all_frac"][i] == pytest.approx(
                np.mean([s + x[list(b)].sum() for s, x, b in zip(static[lag:], w, before)]), rel=1e-5)
        other = attention(c["layer"], c["head"] ^ 1, c["query_set"])[1]  # the group's other head
        assert m["group_overlap_frac"] == pytest.approx(share(own, other))
        assert m["group_mass_ratio"] == pytest.approx(mass_ratio(weights, own, other), rel=1e-5)
        assert m["group_distinct"] == pytest.approx(np.mean([len(a | b) for a, b in zip(own, other)]))
        if c["layer"] == LAYERS[0]:
            assert "by_layer" not in r
            continue
        layers = r["by_layer"]
        before = [attention(LAYERS[0], h, c["query_set"])[1] for h in range(HEADS)]
        shares = [share(own, sets) for sets in before]
        assert layers["layer"] == [LAYERS[0]] and layers["head"] == [int(np.argmax(shares))]
        assert layers["overlap_frac"] == [pytest.approx(max(shares))]
        assert layers["overlap_mean_frac"] == [pytest.approx(np.mean(shares))]
        assert layers["mass_ratio"] == [pytest.approx(mass_ratio(weights, own, before[layers["head"][0]]), rel=1e-5)]


def test_overlap_of_a_head_without_a_group(dump):
    for r in records("overlap", "-d", dump, *SELECT, "-k", 5, "--heads", "1,2", "--layers", 2)["overlap"]:
        m = r["metrics"]
        assert m["group_overlap_frac"] is None and m["group_mass_ratio"] is None and m["group_distinct"] == 5


def test_overlap_needs_steps_without_gaps(toy, dump, tmp_path):
    gaps = tmp_path / "gaps.h5"
    write_dump(gaps, toy.k, toy.v, toy.q, q_pos=np.arange(1, TOKENS, 2))
    fails(65, "overlap", "-d", gaps, *SELECT, "-k", 5, say="queries with gaps")
    fails(2, "overlap", "-d", dump, *SELECT, "-k", 5, "--lags", "0,1", say="--lags")
    fails(2, "overlap", "-d", dump, *SELECT, "-k", N + 1, say="indexed keys")
    shown = run("overlap", "-d", dump, *SELECT, "-k", 5).stdout.splitlines()
    assert all(len(line) <= 110 for line in shown) and "64 back" in shown[0]


def test_keys_and_test_queries_options(dump):
    found = records("curve", "-d", dump, "--keys", "100-299", "--test-queries", "last:30", "-k", 5, "--index", "flat",
                    "--layers", 0, "--kv-heads", 1)["recall"]
    assert {r["config"]["head"] for r in found} == {2, 3}
    assert {(r["config"]["query_set"], r["config"]["n_queries"]) for r in found} == {("prompt", 30), ("decode", DECODE)}
    assert all(r["config"]["n_keys"] == 200 and r["config"]["keys"] == "100-299" for r in found)


def test_training_queries_are_spread_and_capped(dump):
    found = records("build", "-d", dump, *SELECT, "--train", 50, "--index", "roar:share=head", "--layers", 0)["build"]
    assert [r["config"]["n_train"] for r in found] == [50] * HEADS


def test_which_training_queries_are_taken(toy, dump, tmp_path):
    """even: the middle of each stretch; drawn: one of each, by the seed; last: the last ones."""
    def taken(pick, seed=1, count=50):
        folder = tmp_path / f"{pick}-{seed}"
        run("export", "-d", dump, *SELECT, "--format", "npy", "--layers", 0, "--heads", 0, "--train", count, "--train-pick", pick,
            "--seed", seed, "-o", folder)
        return np.load(folder / "layer000_head000/q_pos.npy")[:count]

    m = LAST + 1
    np.testing.assert_array_equal(taken("last"), np.arange(m - 50, m))
    np.testing.assert_array_equal(taken("even"), (2 * np.arange(50) + 1) * m // 100)
    first, second = taken("drawn"), taken("drawn", seed=2)
    for drawn in (first, second):
        assert all(i * m // 50 <= p < (i + 1) * m // 50 for i, p in enumerate(drawn))
    assert (first != second).sum() > 25
    fails(2, "export", "-d", dump, "--format", "npy", "--train-pick", "first", "-o", tmp_path)


def test_records_append_and_table_goes_to_stdout(dump, tmp_path):
    out = tmp_path / "out.jsonl"
    for _ in range(2):
        done = run("curve", "-d", dump, *SELECT, "-k", 5, "--index", "flat", "--heads", 0, "-o", out)
    assert "| flat " in done.stdout and all(len(line) <= 100 for line in done.stdout.splitlines())
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(lines) == 2 * (len(LAYERS) + len(LAYERS) * 2)
    assert len({r["run_id"] for r in lines}) == 2
    csv = run("sparsity", "-d", dump, *SELECT, "--format", "csv").stdout.splitlines()
    assert csv[0].startswith("layer,heads,queries,") and len(csv) == 1 + len(LAYERS) * 2
    assert run("ood", "-d", dump, *SELECT, "--format", "none").stdout == ""


def test_list_names_indexes_and_dump(dump):
    shown = run("list", "-d", dump).stdout
    for word in ("flat", "roar", "metric", "lift", "centred", "609 (600 prompt, 9 generated)", "0,2 of 3"):
        assert word in shown, word
    assert all(len(line) <= 100 for line in shown.splitlines())


# ---- export -----------------------------------------------------------------------------------------

def exported(dump, tmp_path, name, *more):
    run("export", "-d", dump, *SELECT, "--format", name, "--layers", 2, "--heads", "1,2", "-o", tmp_path, *more)
    return tmp_path / "layer002_head002", json.loads((tmp_path / "layer002_head002.json").read_text())


def test_export_bigann(toy, dump, tmp_path):
    stem, about = exported(dump, tmp_path, "bigann")
    k, _, q = toy.head(2, 2)

    def fbin(suffix):
        raw = pathlib.Path(str(stem) + suffix).read_bytes()
        n, d = np.frombuffer(raw, "<u4", 2)
        assert len(raw) == 8 + 4 * n * d
        return np.frombuffer(raw, "<f4", offset=8).reshape(n, d)

    test = q[LAST + 1:]
    np.testing.assert_array_equal(fbin(".base.fbin"), k[FIRST:LAST + 1])
    np.testing.assert_array_equal(fbin(".query.fbin"), test)
    np.testing.assert_array_equal(fbin(".learn.fbin"), q[:LAST + 1])
    raw = (tmp_path / (stem.name + ".truth.bin")).read_bytes()
    nq, top = np.frombuffer(raw, "<u4", 2)
    assert (nq, top) == (len(test), 100) and len(raw) == 8 + 8 * nq * top
    ids = np.frombuffer(raw, "<i4", nq * top, 8).reshape(nq, top)
    scores = np.frombuffer(raw, "<f4", nq * top, 8 + 4 * nq * top).reshape(nq, top)
    exact = (test @ k[FIRST:LAST + 1].T).astype("f4")
    np.testing.assert_array_equal(ids, np.argsort(-exact, axis=1, kind="stable")[:, :100])
    np.testing.assert_array_equal(scores, np.take_along_axis(exact, ids.astype("i8"), 1))
    assert about["n"] == N and about["d"] == DIM and about["layer"] == 2 and about["head"] == 2
    assert about["n_test_prompt"] + about["n_test_decode"] == len(test) and len(about["dump_sha256"]) == 64


def test_export_npy(toy, dump, tmp_path):
    stem, about = exported(dump, tmp_path, "npy")
    k, v, q = toy.head(2, 2)
    arrays = {name: np.load(stem / f"{name}.npy") for name in ("K", "V", "Q", "q_pos")}
    assert arrays["K"].dtype == "f2" and arrays["q_pos"].dtype == "i8"
    np.testing.assert_array_equal(arrays["K"], k[FIRST:LAST + 1])
    np.testing.assert_array_equal(arrays["V"], v[FIRST:LAST + 1])
    np.testing.assert_array_equal(arrays["Q"], q[arrays["q_pos"]])
    np.testing.assert_array_equal(arrays["q_pos"], np.arange(TOKENS))
    assert about["n_train"] == LAST + 1


def test_export_ann_benchmarks_reads_back_as_input(toy, dump, tmp_path):
    stem, _ = exported(dump, tmp_path, "ann-benchmarks")
    path = pathlib.Path(str(stem) + ".hdf5")
    k, _, q = toy.head(2, 2)
    with h5py.File(path) as f:
        train, test, neighbors = f["train"][:], f["test"][:], f["neighbors"][:]
    np.testing.assert_array_equal(train[:, :DIM], k[FIRST:LAST + 1])
    nearest = ((test[:, None] - train[None]) ** 2).sum(-1, dtype="f8").argsort(1, kind="stable")[:, :10]
    assert np.mean([len(set(a) & set(b)) / 10 for a, b in zip(nearest, neighbors[:, :10])]) > 0.999
    found = records("curve", "-d", path, "-k", 10, "--index", "flat")["recall"]
    assert len(found) == 1 and found[0]["metrics"]["recall_tie"] == 1
    assert found[0]["given_neighbors_agree"] is True
    assert found[0]["metrics"]["mass_k_frac"] is None


def test_export_does_not_overwrite(dump, tmp_path):
    exported(dump, tmp_path, "bigann")
    fails(73, "export", "-d", dump, *SELECT, "--format", "bigann", "--layers", 2, "--heads", "1,2", "-o", tmp_path)
    exported(dump, tmp_path, "bigann", "--force")


# ---- ann-benchmarks style input ---------------------------------------------------------------------

def ann_file(path, learn=True, spoil=False):
    rng = np.random.default_rng(8)
    train, test = rng.normal(size=(400, 8)).astype("f4"), rng.normal(size=(30, 8)).astype("f4")
    neighbors = np.argsort(-(test @ train.T), axis=1, kind="stable")[:, :12].astype("i4")
    if spoil:
        neighbors[3, 0] = np.argmin(test[3] @ train.T)
    with h5py.File(path, "w") as f:
        f["train"], f["test"], f["neighbors"] = train, test, neighbors
        f.attrs["distance"] = "angular"
        if learn:
            f["learn"] = rng.normal(size=(200, 8)).astype("f4")


def test_ann_file_by_inner_product(tmp_path):
    ann_file(tmp_path / "a.hdf5")
    found = records("curve", "-d", tmp_path / "a.hdf5", "-k", 10, "--index", "flat", "--index", "roar:ef=100")
    flat, roar = found["recall"]
    assert flat["metrics"]["recall_tie"] == 1 and flat["given_neighbors_agree"] is True
    assert roar["config"]["n_train"] == 200 and roar["metrics"]["recall_id"] > 0.8


def test_ann_file_with_wrong_neighbors_warns(tmp_path):
    ann_file(tmp_path / "a.hdf5", spoil=True)
    done = run("curve", "-d", tmp_path / "a.hdf5", "-k", 10, "--index", "flat", "-o", "-")
    assert "warning" in done.stderr and "neighbors" in done.stderr
    last = json.loads(done.stdout.splitlines()[-1])
    assert last["given_neighbors_agree"] is False and last["metrics"]["recall_tie"] == 1


def test_ann_file_without_learn_refuses_query_aware(tmp_path):
    ann_file(tmp_path / "a.hdf5", learn=False)
    fails(65, "curve", "-d", tmp_path / "a.hdf5", "-k", 10, "--index", "roar", "--format", "none", say="training queries")
    fails(2, "curve", "-d", tmp_path / "a.hdf5", "-k", 401, "--index", "flat", say="400")


# ---- bad input: one line, the documented exit code ---------------------------------------------------

def test_usage_errors(dump):
    curve = ["curve", "-d", dump, *SELECT, "--index"]
    fails(2, *curve, "tree", say="flat")
    fails(2, *curve, "roar:bogus=1", say="known keys")
    fails(2, *curve, "flat", "-k", N + 1, say=f"{N} indexed keys")
    fails(2, *curve, "flat", "-k", N, "--direction", "k_to_k", say=f"{N} indexed keys")
    fails(2, *curve, "flat", "--layers", 9, say="0..2")
    fails(2, *curve, "flat", "--heads", 0, "--kv-heads", 1, say="KV head")
    fails(2, "curve", "-d", dump, "--keys", "5", "--index", "flat", say="FIRST-LAST")
    fails(2, "curve", "-d", dump, "--keys", f"0-{PROMPT}", "--index", "flat", say="not a prompt position")
    fails(2, *curve, "flat", "--test-queries", f"last:{WINDOW + 1}", say="after every indexed key")
    fails(2, *curve, "flat", "--test-queries", "first:3", say="last:N")
    fails(2, "sparsity", "-d", dump, *SELECT, "--ks", f"10,{N + 1}", say="indexed keys")
    fails(2, "ood", "-d", dump, "--ridge", "1.5")
    fails(2, "frobnicate")


def test_a_layer_that_is_not_there(dump):
    fails(65, "ood", "-d", dump, *SELECT, "--layers", 1, say="holds layers 0,2")


def test_a_layer_with_a_window(toy, tmp_path):
    path = tmp_path / "window.h5"
    write_dump(path, toy.k, toy.v, toy.q)
    with h5py.File(path, "r+") as f:
        f["layers/00/q"].attrs["sliding_window"] = np.int64(TOKENS - 1)
        f["layers/02/q"].attrs["sliding_window"] = np.int64(TOKENS)  # leaves nothing out
    out = tmp_path / "out.jsonl"
    for command in (["curve", "--index", "flat", "-k", 10], ["ood"], ["sparsity", "--ks", 10], ["overlap", "-k", 10]):
        fails(65, *command, "-d", path, *SELECT, "-o", out, say="layer 0: its queries see only the last")
        fails(65, *command, "-d", path, *SELECT, "-o", out, say="(--layers 2)")
        assert not out.exists()
    run("sparsity", "--ks", 10, "-d", path, *SELECT, "--layers", 2, "-o", out)
    assert f"window of {TOKENS - 1} keys" in run("list", "-d", path).stdout


def test_bad_dumps(toy, tmp_path):
    fails(66, "ood", "-d", tmp_path / "absent.h5", say="absent.h5")
    (tmp_path / "junk.h5").write_bytes(b"not hdf5" * 100)
    fails(65, "ood", "-d", tmp_path / "junk.h5", say="junk.h5")
    short = tmp_path / "short.h5"
    write_dump(short, toy.k, toy.v, toy.q)
    fails(65, "ood", "-d", short, "--sink", 500, "--window", 512, say="leave no key")
    early = tmp_path / "early.h5"
    write_dump(early, toy.k, toy.v, toy.q, q_pos=np.arange(0, 400))
    fails(65, "curve", "-d", early, *SELECT, "--index", "flat", say="no test queries")
    late = tmp_path / "late.h5"
    write_dump(late, toy.k, toy.v, toy.q, q_pos=np.arange(550, TOKENS))
    fails(65, "curve", "-d", late, *SELECT, "--index", "roar", "--format", "none", say="training queries")
    holes = {layer: x.copy() for layer, x in toy.k.items()}
    holes[2][1, 123, 4] = np.nan
    spoiled = tmp_path / "nan.h5"
    write_dump(spoiled, holes, toy.v, toy.q)
    fails(65, "sparsity", "-d", spoiled, *SELECT, "--layers", 2, "--format", "none", say="NaN")


def test_rank_deficient_keys_need_a_ridge(toy, tmp_path):
    flat = {layer: x.copy() for layer, x in toy.k.items()}
    for x in flat.values():
        x[:, :, 5] = 0.25
    path = tmp_path / "flat.h5"
    write_dump(path, flat, toy.v, toy.q)
    fails(65, "ood", "-d", path, *SELECT, say="--ridge")
    found = records("ood", "-d", path, *SELECT, "--ridge", 0.05)["ood"]
    assert all(r["config"]["ridge"] == 0.05 and np.isfinite(r["metrics"]["condition_number"]) for r in found)


def test_unwritable_output(dump, tmp_path):
    fails(73, "ood", "-d", dump, *SELECT, "-o", tmp_path / "no" / "out.jsonl", say="no/out.jsonl")
    (tmp_path / "notes.txt").write_text("keep me")
    fails(73, "ood", "-d", dump, *SELECT, "-o", tmp_path / "notes.txt", say="result records")
    assert (tmp_path / "notes.txt").read_text() == "keep me"
    if pathlib.Path("/dev/full").exists():
        fails(74, "ood", "-d", dump, *SELECT, "-o", "/dev/full")
