# SPDX-License-Identifier: Apache-2.0
"""ra-bench: its records against NumPy and against each other."""
import hashlib
import json
import os
import pathlib
import re

import h5py
import numpy as np
import pytest

from conftest import GENERATED, PROMPT
from program import Program

PROGRAM = Program("bench")
pytestmark = PROGRAM.needed
REAL = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "retrieval-attention/models/smollm2.gguf"
run, fails = PROGRAM.run, PROGRAM.fails

LAYERS, HEADS, KV_HEADS, DIM = 2, 4, 2, 16  # of the tiny model
SINK, WINDOW = 8, 32
STATIC = ["--sink", SINK, "--window", WINDOW]
MODES = ["full", "streaming", "knn", "ivf", "hnsw", "retrieval"]
INDEX = {"full": None, "streaming": None, "knn": "flat", "ivf": "ivf", "hnsw": "hnsw:metric=lift",
         "retrieval": "qivf"}

PROVENANCE = {"git_commit", "git_dirty", "compiler", "cxx_flags", "build_type", "cpu", "cores", "isa", "isa_features",
              "threads", "os", "memory_bytes", "cgroup_cpus", "governor", "load_1m", "libs", "gpu", "bandwidth_gb_s",
              "ftz_daz"}
BUILD = {"build_ms", "build_during_ms", "build_harvest_ms", "build_knn_ms", "build_metric_ms", "build_cluster_ms",
         "build_pack_ms", "build_cpu_s", "build_peak_rss_bytes", "build_prefill_ratio", "index_bytes",
         "index_key_copy_bytes", "breakeven_full_tokens", "breakeven_scan_tokens"}
DECODE_PARTS = ["qkv_ms", "search_ms", "gather_ms", "static_ms", "merge_ms", "proj_ms", "ffn_ms", "head_ms", "other_ms"]
METRICS = {
    "decode": {"decode_ms", "decode_tok_s", "prefill_ms", "prefill_tok_s", *BUILD, "grow_ms", "kv_bytes",
               "peak_rss_bytes", "scanned_frac", "read_gb_s", *DECODE_PARTS, "search_busy_ms", "static_busy_ms",
               "overlap_frac", "same_top1_frac", "kld_mean", "work_distances", "work_bytes", "work_hops",
               "work_allocs"},
    "attention": {"attention_ms", "search_ms", "static_ms", "merge_ms", "read_gb_s", "scanned_frac", "output_cosine",
                  "output_rel_l2", "mass_all_frac", "work_distances", "work_bytes", "work_hops"},
}
CONFIG = {
    "decode": {"architecture", "mode", "context", "n_decode", "repetitions", "kv_dtype", "k", "sink", "window", "index"},
    "attention": {"mode", "context", "layer", "head", "k", "sink", "window", "index", "synthetic", "source_sha256"},
}


def build_info():
    return json.loads(run("--build-info").stdout)


def modes():
    """Those of this build."""
    with_faiss = "faiss" in build_info()["libs"]
    return [m for m in MODES if with_faiss or m not in ("ivf", "hnsw")]


def no_constant(name):
    raise AssertionError(f"{name} is not JSON")


def read(lines):
    """Records that have every documented field."""
    out = [json.loads(line, parse_constant=no_constant) for line in lines.splitlines()]
    for r in out:
        assert r["schema_version"] == 1 and r["tool"] == "ra-bench" and r["status"] == "ok" and r["status_detail"] is None
        assert PROVENANCE <= set(r["provenance"]) and r["provenance"]["threads"] == 1
        common = {"model_sha256", "input_sha256", "seed", "threads", "deterministic"}
        assert common | CONFIG[r["kind"]] <= set(r["config"]) and METRICS[r["kind"]] <= set(r["metrics"])
        assert r["provenance"]["bandwidth_gb_s"] > 0 and r["time_utc"].endswith("Z") and len(r["run_id"]) == 16
        for name, repetitions in r["samples"].items():
            values, p = np.concatenate(repetitions), r["percentiles"][name]
            assert p["n"] == len(values) and p["max"] == values.max() and p["min"] == values.min()
            for share in (5, 50, 95, 99):
                assert p[f"p{share:02}"] == pytest.approx(np.percentile(values, share), abs=1e-12), name
    assert len({r["run_id"] for r in out}) <= 1
    return out


def measure(*arguments):
    return read(run(*arguments, "-o", "-").stdout)


def measure_any(*arguments):
    """Records of a command whose fields are documented elsewhere."""
    return [json.loads(line) for line in run(*arguments, "-o", "-").stdout.splitlines()]


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


# ---- decode ----------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def decoded(model, words, tmp_path_factory):
    out = tmp_path_factory.mktemp("bench") / "decode.jsonl"
    done = run("decode", "-m", model, "-f", words, "-c", "400,200", "-n", 6, "-r", 2, "-k", 20, *STATIC, "--pair", 7,
               "--seed", 5, "--mode", ",".join(modes()), "-o", out)
    return done, read(out.read_text())


def test_decode_has_a_record_for_every_mode_and_length(decoded, model, words):
    done, records = decoded
    assert done.stderr == ""
    assert [(r["config"]["context"], r["config"]["mode"]) for r in records] == [(c, m) for c in (200, 400) for m in modes()]
    for r in records:
        c, m = r["config"], r["metrics"]
        assert (r["kind"], r["pair"], c["seed"], c["n_decode"], c["repetitions"]) == ("decode", 7, 5, 6, 2)
        assert c["architecture"] == "llama" and c["kv_dtype"] == "bf16" and c["index"] == INDEX[c["mode"]]
        assert c["model_sha256"] == sha256(model) and c["input_sha256"] == sha256(words)
        assert np.shape(r["samples"]["decode_ms"]) == (2, 6)
        assert m["decode_ms"] == r["percentiles"]["decode_ms"]["p50"] > 0
        assert m["decode_tok_s"] == pytest.approx(1000 / m["decode_ms"])
        assert m["kv_bytes"] == LAYERS * KV_HEADS * c["context"] * 2 * DIM * 2
        assert sum(m[p] for p in DECODE_PARTS) == pytest.approx(m["decode_ms"], rel=0.02)
        assert all(m[p] >= 0 for p in DECODE_PARTS[:-1])
        sparse = c["mode"] != "full"
        assert (c["sink"], c["window"]) == ((SINK, WINDOW) if sparse else (None, None))
        assert c["k"] == (20 if c["index"] else None)


def test_decode_counts_its_work(decoded):
    for r in decoded[1]:
        c, m = r["config"], r["metrics"]
        keys = c["context"] - c["n_decode"] - SINK - WINDOW
        # One more key is outside the static set with each token: the window moves on.
        everything = LAYERS * HEADS * (keys + (c["n_decode"] - 1) / 2)
        if c["mode"] == "full":
            assert m["scanned_frac"] == 1 and m["same_top1_frac"] == 1 and abs(m["kld_mean"]) < 1e-9
        elif c["mode"] == "streaming":
            assert m["scanned_frac"] == 0 == m["work_distances"] == m["index_bytes"] and m["kld_mean"] > 1e-6
        else:
            assert m["scanned_frac"] == pytest.approx(m["work_distances"] / everything)
            # Those of FAISS copy the keys; the others score them where the cache has them.
            assert m["index_bytes"] >= LAYERS * KV_HEADS * keys * DIM * 4 or c["mode"] in ("knn", "retrieval")
            assert m["index_bytes"] > 0 or c["mode"] == "knn"
            assert m["build_ms"] > 0 or c["mode"] == "knn"
            if c["mode"] == "knn":
                assert m["work_distances"] == everything
        if c["mode"] in ("full", "streaming"):
            assert m["search_ms"] == m["gather_ms"] == m["build_ms"] == 0


def test_decode_accounts_for_the_build(model, words):
    def run_modes(*more):
        records = measure("decode", "-m", model, "-f", words, "-c", 400, "-n", 6, "-r", 1, "-k", 20, *STATIC, "--mode",
                          "full,streaming,knn,retrieval", "--index", "flat:bits=8;qivf:segment=128,probes=4", *more)
        return {r["config"]["mode"]: r for r in records}
    during, after = run_modes(), run_modes("--build", "after")
    for r in (*during.values(), *after.values()):
        m, indexed = r["metrics"], r["config"]["mode"] in ("knn", "retrieval")
        assert (m["build_peak_rss_bytes"] is None) == (m["build_prefill_ratio"] is None) == (not indexed)
        assert r["config"]["flush"] == (1024 if r["config"]["mode"] == "retrieval" else None)
        for name, other in (("breakeven_full_tokens", "full"), ("breakeven_scan_tokens", "knn")):
            saved = (during if r in during.values() else after)[other]["metrics"]["decode_ms"] - m["decode_ms"]
            want = m["build_ms"] / saved if indexed and saved > 0 else None
            assert m[name] == (want if want is None else pytest.approx(want)), name
        if indexed:
            assert m["build_prefill_ratio"] == pytest.approx(m["build_ms"] / m["prefill_ms"])
            assert 0 < m["build_peak_rss_bytes"] <= m["peak_rss_bytes"]
            assert m["index_key_copy_bytes"] == 0, "exact scores read the KV cache"
    m = during["retrieval"]["metrics"]
    assert 0 < m["build_during_ms"] < m["build_ms"] and after["retrieval"]["metrics"]["build_during_ms"] == 0
    assert m["build_metric_ms"] > 0 and m["build_cluster_ms"] > 0 and m["build_pack_ms"] > 0
    assert during["retrieval"]["config"]["train"] == (394 + 3) // 4
    # The same index either way.
    counted = lambda r: {k: v for k, v in r["metrics"].items() if k.startswith(("work_d", "work_h", "work_b", "kld", "index"))}
    assert {k: counted(r) for k, r in during.items()} == {k: counted(r) for k, r in after.items()}


def decode_modes(model, words, *more, k=20, probes=4):
    records = measure("decode", "-m", model, "-f", words, "-c", 400, "-n", 6, "-r", 2, "-k", k, *STATIC, "--mode",
                      "full,streaming,retrieval", "--index", f"qivf:segment=128,probes={probes}", *more)
    return {r["config"]["mode"]: r for r in records}


def test_sequences_that_decode_together_do_the_work_of_each(model, words):
    one, three = decode_modes(model, words), decode_modes(model, words, "--batch", 3)
    for mode, r in three.items():
        a, b = one[mode]["metrics"], r["metrics"]
        assert r["config"]["batch"] == 3 and "batch" not in one[mode]["config"]
        assert b["kv_bytes"] == 3 * a["kv_bytes"] and b["index_bytes"] == 3 * a["index_bytes"]
        # The first sequence runs the same tokens as alone.
        assert b["kld_mean"] == pytest.approx(a["kld_mean"], rel=1e-6, abs=1e-9) and b["same_top1_frac"] == a["same_top1_frac"]
        assert b["token_ms"] == pytest.approx(b["decode_ms"] / 3)
        assert b["decode_tok_s"] == pytest.approx(3000 / b["decode_ms"])
        assert sum(b[p] for p in DECODE_PARTS) == pytest.approx(b["decode_ms"], rel=0.02)
        # The same six tokens each, in another order: nearly the same lists are probed.
        assert b["work_bytes"] == pytest.approx(a["work_bytes"], rel=0.1)
        # Weights are read once a step for all three.
        weights = a["read_bytes"] - a["work_bytes"]
        assert b["read_bytes"] == pytest.approx(weights + 3 * b["work_bytes"])


def test_a_mode_goes_on_with_its_own_tokens(model, words):
    records = decode_modes(model, words, "--generate", 20)
    full = records["full"]["generated"]
    assert len(full["ids"]) == 20 == full["as_full"] and full["then"] is None and full["text"]
    for mode, r in records.items():
        g = r["generated"]
        assert r["config"]["generate"] == 20 and "temperature" not in r["config"]
        assert g["ids"][:g["as_full"]] == full["ids"][:g["as_full"]]
        assert (g["then"] is None) == (g["ids"] == full["ids"])
        if g["then"] is not None:
            assert g["text"].endswith(g["then"]) and g["ids"][g["as_full"]] != full["ids"][g["as_full"]]
    everything = decode_modes(model, words, "--generate", 20, k=340, probes=1000000)
    assert everything["retrieval"]["generated"] == full, "with every key it is full attention"
    warm = decode_modes(model, words, "--generate", 20, "--temp", 5)
    assert warm["full"]["config"]["temperature"] == 5 and warm["full"]["generated"]["ids"] != full["ids"]
    again = decode_modes(model, words, "--generate", 20, "--temp", 5)
    assert {m: r["generated"] for m, r in warm.items()} == {m: r["generated"] for m, r in again.items()}
    done = run("decode", "-m", model, "-f", words, "-c", 200, "-n", 2, "-r", 1, *STATIC, "--mode", "full,streaming", "--generate", 5)
    assert "going on freely:\n- full at 200: \"" in done.stdout and "- streaming at 200: as full attention" in done.stdout
    fails(2, "decode", "-m", model, "-f", words, "-c", 200, "--temp", 1)


def test_layers_sum_to_the_whole(model, words):
    for mode, r in decode_modes(model, words, "--per-layer", "--schedule", "sequential").items():
        layers, m = r["layers"], r["metrics"]
        assert [l["layer"] for l in layers] == list(range(LAYERS))
        for name in ("search_busy_ms", "static_busy_ms", "overlap_ms", "search_wait_ms", "static_wait_ms", "work_distances",
                     "work_bytes"):
            assert sum(l[name] for l in layers) == pytest.approx(m[name], rel=1e-9, abs=1e-9), (mode, name)
        assert m["overlap_ms"] == 0 == m["search_wait_ms"], "one source after the other"
        parts = [m[f"search_{part}_ms"] for part in ("cells", "pick", "floor", "filter")]
        assert all(p > 0 for p in parts) == (mode == "retrieval") and sum(parts) <= m["search_busy_ms"], "of qivf alone"
        assert (m["static_wait_ms"] > 0) == (mode == "retrieval")
    assert "layers" not in decode_modes(model, words)["full"]
    done = run("decode", "-m", model, "-f", words, "-c", 200, "-n", 2, "-r", 1, *STATIC, "--mode", "streaming", "--per-layer")
    assert "| static waits | retrieval waits |" in done.stdout


def test_keys_that_leave_the_window_enter_the_index(model, words):
    def scored(flush):
        r, = measure("decode", "-m", model, "-f", words, "-c", 400, "-n", 100, "-r", 2, "-k", 20, "--sink", SINK, "--window", 16,
                     "--mode", "retrieval", "--index", "qivf:segment=128,probes=2", "--flush", flush)
        return r["metrics"]
    never, flushed = scored(0), scored(32)
    assert 0 < flushed["grow_ms"] <= flushed["search_ms"]
    # The heads of a group pick as many lists, which they share more or less.
    assert flushed["work_hops"] == pytest.approx(never["work_hops"], rel=0.2)
    assert never["index_bytes"] == flushed["index_bytes"]
    assert flushed["work_distances"] < never["work_distances"]


def test_decode_prints_a_table_that_fits(decoded):
    rows = [line for line in decoded[0].stdout.splitlines() if line.startswith("|")]
    assert all(f"| {m} " in decoded[0].stdout for m in modes())
    prefill = 2 + 2  # a row for each length
    assert len(rows) == prefill + 2 + 2 * len(modes())
    assert max(map(len, rows)) <= 150  # times of a busy host take more digits


def test_decode_with_everything_retrieved_is_full_attention(model, words):
    # All 400 - 1 - 8 - 32 keys, in the reference arithmetic, from indexes that can find them all.
    specs = ["--mode", "knn", *(["--mode", "ivf", "--index", "ivf:lists=3,probes=3"] if "ivf" in modes() else [])]
    for r in measure("decode", "-m", model, "-f", words, "-c", 400, "-n", 1, "-r", 1, "-k", 359, *STATIC, *specs,
                     "--compute", "f32", "--kv-dtype", "f32"):
        assert abs(r["metrics"]["kld_mean"]) < 1e-8 and r["metrics"]["same_top1_frac"] == 1


def test_decode_repeats_but_for_time(model, words, dump, tmp_path):
    def counted(*source):
        records = measure("decode", "-m", model, *source, "-c", 200, "-n", 3, "-r", 1, "-k", 10, *STATIC, "--mode",
                          ",".join(modes()))
        return [{name: v for name, v in r["metrics"].items() if name.startswith(("work_d", "work_h", "work_b", "kld"))}
                for r in records]
    ids = tmp_path / "ids"
    with h5py.File(dump) as f:
        ids.write_text("\n".join(map(str, f["tokens/ids"][:PROMPT])))
    first = counted("-f", words)
    assert first == counted("-f", words)
    assert first == counted("--tokens-file", ids)  # the same tokens, spelled as numbers


def test_index_specs_keep_the_defaults_of_their_mode(model, words):
    def used(*arguments):
        records = measure("decode", "-m", model, "-f", words, "-c", 200, "-n", 2, "-r", 1, "-k", 10, *STATIC, *arguments)
        return [r["config"]["index"] for r in records]
    assert used("--mode", "retrieval", "--index", "roar:ef=50") == ["roar:ef=50"]
    assert used("--mode", "retrieval", "--index", "flat") == ["flat"]
    if "hnsw" not in modes():
        pytest.skip("hnsw: not in this build")
    assert used("--mode", "hnsw", "--index", "hnsw:m=8") == ["hnsw:m=8,metric=lift"]
    assert used("--mode", "hnsw", "--index", "hnsw:metric=raw") == ["hnsw:metric=raw"]
    assert used("--mode", "hnsw,retrieval", "--index", "hnsw:m=8;roar:metric=raw") == ["hnsw:m=8,metric=lift", "roar:metric=raw"]
    assert used("--mode", "retrieval", "--index", "hnsw:m=8") == ["hnsw:m=8"]


def test_help_says_what_each_mode_searches():
    shown = " ".join(run("decode", "--help").stdout.split())
    for mode, index in INDEX.items():
        assert mode in shown and (index or "") in shown


def test_formats_of_the_table(model, words):
    common = ["decode", "-m", model, "-f", words, "-c", 64, "-n", 2, "-r", 1, "--mode", "full"]
    assert run(*common, "--format", "none").stdout == ""
    csv = run(*common, "--format", "csv").stdout.splitlines()
    assert csv[0].startswith("context,mode,ms/token") and csv[1].startswith("64,full,")


# ---- attention -------------------------------------------------------------------------------------

QUERIES = 20


def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


@pytest.fixture(scope="module")
def attended(dump):
    return measure("attention", "-d", dump, "-c", "300,600", "--queries", QUERIES, "-r", 2, "-k", 10, *STATIC, "--mode",
                   ",".join(modes()))


def test_attention_has_a_record_for_every_mode_and_length(attended, dump):
    assert [(r["config"]["context"], r["config"]["mode"]) for r in attended] == [(c, m) for c in (300, 600) for m in modes()]
    for r in attended:
        c, m = r["config"], r["metrics"]
        assert r["kind"] == "attention" and c["layer"] == 1 and c["synthetic"] is False
        assert c["source_sha256"] == c["input_sha256"] == sha256(dump) and c["index"] == INDEX[c["mode"]]
        assert np.shape(r["samples"]["attention_ms"]) == (2, QUERIES)
        assert m["attention_ms"] == r["percentiles"]["attention_ms"]["p50"] > 0
        if c["mode"] == "full":
            assert m["mass_all_frac"] == pytest.approx(1) and m["output_rel_l2"] < 1e-6 and m["output_cosine"] > 1 - 1e-6
        if c["mode"] not in ("full", "streaming"):
            assert m["scanned_frac"] == pytest.approx(m["work_distances"] / (HEADS * (c["context"] - SINK - WINDOW)))


@pytest.mark.parametrize("mode,k", [("streaming", 0), ("knn", 10)])
def test_attention_quality_is_numpys(attended, dump, mode, k):
    with h5py.File(dump) as f:
        g = f["layers/01"]
        keys, values, queries, scale = g["k"][:].astype("f8"), g["v"][:].astype("f8"), g["q"][:].astype("f8"), g["q"].attrs["scale"]
    for r in (r for r in attended if r["config"]["mode"] == mode):
        context = r["config"]["context"]
        first, last = SINK, context - WINDOW  # what is indexed
        expected = {"mass_all_frac": [], "output_rel_l2": [], "output_cosine": []}
        for p in range(context - QUERIES, context):
            for h in range(HEADS):
                kv = h * KV_HEADS // HEADS
                scores = keys[kv, :p + 1] @ queries[h, p]
                weights = softmax(scale * scores)
                kept = np.r_[0:first, last:p + 1, first + np.argsort(-scores[first:last], kind="stable")[:k]]
                full, part = weights @ values[kv, :p + 1], weights[kept] @ values[kv, kept] / weights[kept].sum()
                expected["mass_all_frac"].append(weights[kept].sum())
                expected["output_rel_l2"].append(np.linalg.norm(part - full) / np.linalg.norm(full))
                expected["output_cosine"].append(part @ full / np.linalg.norm(part) / np.linalg.norm(full))
        for name, of_queries in expected.items():
            assert r["metrics"][name] == pytest.approx(np.mean(of_queries), rel=1e-4), (name, context)

def attend(dump, *arguments):
    records = measure("attention", "-d", dump, "-c", 600, "--queries", QUERIES, "-r", 1, *STATIC, *arguments)
    return {r["config"]["mode"]: r for r in records}


def test_synthetic_contexts_go_beyond_the_dump(dump):
    with h5py.File(dump) as f:
        tokens = int(f.attrs["n_tokens"])
    lengths = [tokens // 2, tokens, 4 * tokens]

    def made(*arguments):
        return measure("attention", "-d", dump, "--synthetic", "-c", ",".join(map(str, lengths)), "--queries", 8, "-r", 1, "-k", 10,
                       *STATIC, "--mode", "full,streaming,knn,retrieval", *arguments)

    records = made()
    assert [r["config"]["context"] for r in records] == [n for n in lengths for _ in range(4)]
    for r in records:
        c, m = r["config"], r["metrics"]
        assert c["synthetic"] is True and c["source_tokens"] == tokens and c["source_sha256"] == sha256(dump)
        assert np.shape(r["samples"]["attention_ms"]) == (1, 8) and m["mahalanobis_sq_q_mean"] > 0
        if c["mode"] == "full":
            assert m["output_rel_l2"] < 1e-6
            assert m["work_bytes"] == pytest.approx((c["context"] - 3.5) * KV_HEADS * 2 * DIM * 2)  # bf16, mean of 8 positions
        if c["mode"] == "knn":
            assert m["recall_tie"] == 1 and 0 < m["mass_all_frac"] < 1
        if c["mode"] in ("full", "streaming"):
            assert m["recall_tie"] is None
    quality = ["output_rel_l2", "mass_all_frac", "scanned_frac", "mahalanobis_sq_q_mean"]
    figures = [[[r["metrics"][q] for q in quality] for r in records] for records in (records, made(), made("--seed", 2))]
    assert figures[0] == figures[1] != figures[2]


def test_synthetic_keys_are_like_the_real_ones_at_the_dumps_length(dump):
    real, made = (attend(dump, "-k", 50, "--mode", "streaming,knn", *more) for more in ((), ("--synthetic",)))
    for mode, metric, tolerance in (("streaming", "mass_all_frac", 0.25), ("knn", "mass_all_frac", 0.25),
                                    ("knn", "mahalanobis_sq_q_mean", 0.2)):
        assert made[mode]["metrics"][metric] == pytest.approx(real[mode]["metrics"][metric], rel=tolerance), (mode, metric)


def test_cold_caches_change_nothing_but_times(dump):
    warm, cold = (attend(dump, "-k", 10, "--mode", "retrieval", *more)["retrieval"] for more in ((), ("--cold",)))
    assert "cold" not in warm["config"] and cold["config"]["cold"] is True
    for name in ("output_rel_l2", "mass_all_frac", "recall_tie", "work_distances", "work_bytes"):
        assert warm["metrics"][name] == cold["metrics"][name]


def test_a_context_beyond_the_dump_asks_for_synthetic(dump):
    assert "--synthetic" in fails(65, "attention", "-d", dump, "-c", 100000, "--mode", "full", "-o", "-")
    assert "too short" in fails(65, "attention", "-d", dump, "--synthetic", "-c", 16, "--mode", "full", "-o", "-")
    assert "KV cache" in fails(71, "--memory-limit", "64MiB", "attention", "-d", dump, "--synthetic", "-c", 10**9, "--mode", "full",
                               "-o", "-")


def test_the_memory_plan_knows_the_indexes(dump):
    def required(mode, tokens):
        error = fails(71, "--memory-limit", "1MiB", "attention", "-d", dump, "--synthetic", "-c", tokens, "--mode", mode, "-o", "-")
        return int(re.search(r"requires (\d+) bytes", error)[1])

    def per_key(mode):  # of an index and its build, by what a context twice as long needs more
        def more(m):
            return (required(m, 2 * 10**7) - required(m, 10**7)) / 10**7 / KV_HEADS
        return more(mode) - more("full")

    assert per_key("knn") > 2 * DIM  # a copy in bf16
    assert per_key("retrieval") < 0.75 * per_key("knn")  # codes, and a build segment by segment
    if "hnsw" in modes():
        assert per_key("hnsw") > per_key("ivf") > per_key("knn")  # copies in f32


@pytest.mark.skipif(not REAL.exists(), reason=f"{REAL} is not there (datasets/fetch)")
def test_a_mode_that_does_not_fit_is_skipped_and_the_others_run(words, tmp_path):
    """The tiny model needs less than the measurement of the bandwidth before it."""
    text = tmp_path / "long.txt"
    text.write_text(words.read_text() * 8)
    done = run("decode", "-m", REAL, "-f", text, "-c", 8192, "-n", 1, "-r", 1, "--mode", "streaming,retrieval", "--index",
               "roar:m=256,beam=10,queries=64", "--memory-limit", "669MiB", "-o", tmp_path / "out.jsonl")
    fits, too_large = (json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines())
    assert (fits["config"]["mode"], fits["status"]) == ("streaming", "ok")
    assert (too_large["config"]["mode"], too_large["status"], too_large["metrics"]) == ("retrieval", "skipped", {})
    assert too_large["status_detail"].endswith("GB required with the modes before it, 0.70 GB available")
    assert f"- retrieval at 8192: does not fit in memory: {too_large['status_detail']}" in done.stdout


def test_all_pages_are_full_attention(dump):
    few, all_pages = (attend(dump, "--mode", "pages", "--index", f"pages:page=8,keys={n}")["pages"] for n in (64, 1024))
    assert all_pages["metrics"]["output_rel_l2"] < 1e-5 and all_pages["metrics"]["mass_all_frac"] == pytest.approx(1)
    assert few["config"]["index"] == "pages:keys=64,page=8" and few["config"]["k"] == 64
    assert few["metrics"]["attended_mean"] == 64 and few["metrics"]["mass_all_frac"] < 0.999
    pages = -(-(600 - SINK - WINDOW) // 8)
    assert few["metrics"]["work_distances"] == HEADS * (2 * pages + 64)


def test_a_limit_below_k_is_named_and_counted(dump):
    plain = attend(dump, "-k", 100, "--mode", "knn,streaming")
    assert not {"top_p", "range", "budget"} & set(plain["knn"]["config"])
    assert plain["knn"]["metrics"]["attended_mean"] == 100 and plain["streaming"]["metrics"]["attended_mean"] == 0
    for name, value, off in (("top_p", 0.9, 1), ("range", 2.0, 1000)):
        cut, same = (attend(dump, "-k", 100, "--mode", "knn,streaming", f"--{name.replace('_', '-')}", v) for v in (value, off))
        assert cut["knn"]["config"][name] == value and name not in cut["streaming"]["config"]
        for metric in ("output_rel_l2", "mass_all_frac", "work_bytes", "attended_mean"):
            assert same["knn"]["metrics"][metric] == plain["knn"]["metrics"][metric]
        left = plain["knn"]["metrics"], cut["knn"]["metrics"]
        assert left[1]["attended_mean"] < left[0]["attended_mean"]
        saved = HEADS * (left[0]["attended_mean"] - left[1]["attended_mean"]) * 2 * DIM * 2  # rows of K and V in bf16
        assert left[0]["work_bytes"] - left[1]["work_bytes"] in (pytest.approx(saved), pytest.approx(2 * saved))  # or f32
    measured = attend(dump, "-k", 40, "--mode", "knn", "--budget", "measured")["knn"]
    assert measured["config"]["budget"] == "measured" and 30 < measured["metrics"]["attended_mean"] <= 40
    assert fails(2, "attention", "-d", dump, "--top-p", 0, "-o", "-")
    assert fails(2, "attention", "-d", dump, "--budget", "large", "-o", "-")


def test_heads_of_a_group_attend_together(dump):
    def of(*more, index="flat"):
        return attend(dump, "-k", 40, "--mode", "retrieval", "--index", index, *more)["retrieval"]

    alone, together = of(), of("--select", "group")
    assert "select" not in alone["config"] and together["config"]["select"] == "group"
    assert alone["metrics"]["attended_mean"] == 40 < together["metrics"]["attended_mean"] <= 40 * HEADS / KV_HEADS
    assert together["metrics"]["recall_tie"] == pytest.approx(1) and together["metrics"]["mass_all_frac"] > alone["metrics"]["mass_all_frac"]
    assert together["metrics"]["output_rel_l2"] < alone["metrics"]["output_rel_l2"]
    for coded in ("flat:bits=8", "qscan", "qivf"):  # read for the group, so attended by it
        assert of(index=coded)["config"]["select"] == "group"
        assert "select" not in of("--select", "head", index=coded)["config"]
    for limit in (("--top-p", 0.9), ("--range", 5), ("--budget", "measured")):
        assert "select" not in of(*limit, index="qivf")["config"]
        assert limit[0] in fails(2, "attention", "-d", dump, "--select", "group", *limit, "-o", "-")
    assert "select" not in attend(dump, "-k", 40, "--mode", "tail", "--select", "group")["tail"]["config"]


def test_keys_worth_a_share_of_attention(dump):
    def of(*more, mode="retrieval"):
        return attend(dump, "--mode", mode, *more)[mode]

    by_share, more = of("--share", 4e-4), of("--share", 1e-5)
    assert by_share["config"]["share"] == 4e-4 and more["config"]["share"] == 1e-5
    assert more["metrics"]["attended_mean"] > by_share["metrics"]["attended_mean"]
    assert more["metrics"]["output_rel_l2"] < by_share["metrics"]["output_rel_l2"]
    by_default = of()
    assert (by_default["config"]["share"], by_default["config"]["share_from"]) == (1e-3, 32768)
    assert by_default["metrics"]["attended_mean"] > by_share["metrics"]["attended_mean"], "a short context"
    assert "share_from" not in by_share["config"]
    coarse, dropped = of("--share", 0.01), of("--share", 0.01, "--rest", "drop")
    assert coarse["config"]["rest"] == "estimate" and "rest" not in dropped["config"] and "rest" not in of("-k", 40)["config"]
    assert coarse["metrics"]["output_rel_l2"] < 0.8 * dropped["metrics"]["output_rel_l2"]
    assert coarse["metrics"]["attended_mean"] == dropped["metrics"]["attended_mean"]
    assert coarse["metrics"]["index_bytes"] > dropped["metrics"]["index_bytes"]
    assert coarse["metrics"]["work_bytes"] > dropped["metrics"]["work_bytes"]
    for by_number in (("-k", 40), ("--share", 0), ("--top-p", 0.9), ("--budget", "measured"), ("--select", "head"), ("--index", "qscan")):
        assert "share" not in of(*by_number)["config"], by_number
    assert of("-k", 100000, "--share", 0.01)["config"]["share"] == 0.01  # no number of keys has to be there
    for wrong in (("--mode", "knn"), ("--mode", "retrieval", "--index", "qscan"), ("--mode", "retrieval", "--select", "head")):
        assert "no chosen mode finds keys by their share" in fails(2, "attention", "-d", dump, *wrong, "--share", 0.01, "-o", "-")
    for share in (0.9, 1e-50, -1):
        assert fails(2, "attention", "-d", dump, "--mode", "retrieval", "--share", share, "-o", "-")


def test_the_tail_estimate_brings_the_output_nearer_to_full_attention(dump):
    records = attend(dump, "-k", 20, "--mode", "retrieval,tail", "--index", "flat")
    tail, bare = records["tail"], records["retrieval"]
    assert tail["config"]["index"] == bare["config"]["index"] == "flat"
    assert tail["metrics"]["output_rel_l2"] < 0.8 * bare["metrics"]["output_rel_l2"]
    assert tail["metrics"]["mass_all_frac"] == bare["metrics"]["mass_all_frac"]  # of the keys read
    cells = (600 - SINK - WINDOW) // 256
    assert tail["metrics"]["work_distances"] - bare["metrics"]["work_distances"] == HEADS * 2 * cells


def test_limits_go_with_decode_and_quality(model, words):
    common = ["-m", model, "-f", words, "-c", 400, "-k", 40, *STATIC]
    for command, more in (("decode", ["-n", 4, "-r", 1]), ("quality", ["--n-score", 4, "--needle", 0])):
        records = measure_any(command, *common, *more, "--mode", "knn,retrieval,pages,tail", "--top-p", 0.95, "--range", 6,
                              "--budget", "measured")
        for r in records:
            c = r["config"]
            assert c["top_p"] == 0.95 and c["range"] == 6 and c.get("budget") == (None if c["mode"] == "pages" else "measured")
            assert 0 < r["metrics"]["attended_mean"] < (1024 if c["mode"] == "pages" else 40)



def test_attention_uses_the_whole_dump_by_default(dump):
    record, = measure("attention", "-d", dump, "--mode", "full", "-r", 1, "--queries", 5)
    assert record["config"]["context"] == PROMPT + GENERATED
    table = run("attention", "-d", dump, "--mode", "full,streaming", "-r", 1, "--queries", 5).stdout
    assert "| full " in table and "| streaming " in table


# ---- usage -----------------------------------------------------------------------------------------

def test_build_info_names_the_libraries():
    info = build_info()
    for name in ("fmt", "cli11", "nlohmann_json", "hdf5", "eigen", *(["faiss", "faiss_options", "blas"] if "faiss" in info["libs"] else [])):
        assert info["libs"][name], name
    for name in ("fmt", "cli11", "hdf5", "eigen"):
        assert info["libs"][name].count(".") == 2, info["libs"]
    assert run("--version").stdout.startswith("ra-bench ")


def test_build_info_of_a_level_that_is_not_there():
    assert "sse9" in fails(2, "--build-info", env={**os.environ, "RA_CPU_LEVEL": "sse9"})


def test_usage_errors(model, words, dump, tmp_path):
    out = tmp_path / "out.jsonl"
    run_decode = ["decode", "-m", model, "-f", words, "-c", 200, "-n", 4, *STATIC]
    decode = [*run_decode, "-o", out]
    attention = ["attention", "-d", dump, *STATIC, "-o", out]
    for command in (decode, attention):
        fails(2, *command, "--mode", "fast", say="retrieval")
        fails(2, *command, "--index", "tree", say="known: flat")
        fails(2, *command, "--index", "roar:bogus=1", say="known keys")
        fails(2, *command, "--index", "roar:m=0", say="m")
        fails(2, *command, "--index", "roar:ef=10/20", say="not a sweep")
        fails(2, *command, "--mode", "full", "--index", "roar", say="no chosen mode uses 'roar'")
        fails(2, *command, "--mode", "knn", "-k", 5000, say="5000 keys")
        fails(2, *command, "--format", "xml")
        fails(2, *command, "-k", 0)
    # As many as there are is the whole; one more is an error.
    keys = 200 - 4 - SINK - WINDOW
    fails(2, *decode, "--mode", "knn", "-k", keys + 1, say=f"only {keys} lie between")
    run(*run_decode, "--mode", "knn", "-k", keys, "-r", 1)
    run(*run_decode, "--mode", "streaming", "-k", 5000, "-r", 1)  # retrieves nothing
    for contexts in ("x", "0", "200,", "300-200", "100-200*1", "-5"):
        fails(2, "decode", "-m", model, "-f", words, f"--contexts={contexts}", "-n", 4)
    fails(2, "decode", "-m", model, "-f", words, "-c", 4, "-n", 4, say="leaves no prompt")
    fails(2, "decode", "-m", model, "-c", 200, "--mode", "full", say="no text")
    fails(2, "decode", "-m", model, "-f", words, "--tokens-file", words, "-c", 200)
    fails(2, *attention, "--layers", 7, say="0..1")
    fails(2, "frobnicate")
    fails(2)
    fails(78, "--config", tmp_path / "absent.toml", *decode)
    assert not out.exists()
