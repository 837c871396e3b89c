# SPDX-License-Identifier: Apache-2.0
"""ra-bench quality: what it records, against itself and NumPy, and what it refuses. The tiny model answers
nothing, so whether a real one finds its needles is not tested here."""
import copy
import json
import math
import subprocess
import sys

import h5py
import numpy as np
import pytest

from program import ROOT, Program

PROGRAM, DUMP = Program("bench"), Program("dump")
pytestmark = PROGRAM.needed
run, fails = PROGRAM.run, PROGRAM.fails

LIMIT = 2048  # of the model; its tokens are mostly bytes, so questions are long
CONTEXT = 2000
STATIC = ["--sink", 8, "--window", 32]
F32 = ["--compute", "f32", "--kv-dtype", "f32"]
DEPTHS = [0.2, 0.5, 0.9]
ASK = ["--needle", 2, "--depths", "0.5,0.2,0.9", "--task", "single,multi"]
SCORED = 100  # more than the block in which modes take turns
SCORES = ["nll", "nll_delta", "kld_mean", "kld_p99", "kld_max", "same_top1_frac"]


def quality(model, text, *arguments, **options):
    done = run("quality", "-m", model, "-f", text, *STATIC, *arguments, "--format", "none", "-o", "-", **options)
    return [json.loads(line) for line in done.stdout.splitlines()]


def rest(records, *but):
    """What repeats: everything but times and memory."""
    return [{"config": r["config"], "questions": r.get("questions"), "positions": r.get("needle_positions"),
             "samples": {k: v for k, v in r["samples"].items() if k != "decode_ms"}, "ci95": r["ci95"],
             "metrics": {k: v for k, v in r["metrics"].items() if not k.endswith("_ms") and k != "peak_rss_bytes" and k not in but}}
            for r in records]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "tiny.gguf"
    subprocess.run([sys.executable, ROOT / "datasets/make_tiny_gguf.py", "--context", str(LIMIT), "-o", path], check=True)
    return path


@pytest.fixture(scope="module")
def judged(model, words):
    return quality(model, words, "-c", CONTEXT, "--n-score", SCORED, "-k", 20, "--mode", "streaming,knn,full", *ASK)


def test_a_record_for_each_mode(judged):
    assert [r["config"]["mode"] for r in judged] == ["full", "streaming", "knn"]  # the reference runs first
    for r in judged:
        c, m = r["config"], r["metrics"]
        assert r["kind"] == "quality" and r["status"] == "ok" and c["context"] == CONTEXT and c["n_scored"] == SCORED
        assert c["needle_count"] == 2 and c["needle_depths"] == DEPTHS and c["needle_tasks"] == ["single", "multi"]
        assert c["chat"] is True and c["k"] == (20 if c["mode"] == "knn" else None)
        assert {"model_sha256", "input_sha256", "seed", "threads", "deterministic", "sink", "window", "index"} <= set(c)
        assert set(SCORES) <= set(m) and all(math.isfinite(m[name]) for name in SCORES)
        for name in {*SCORES, "needle_frac", "needle_single_frac", "needle_multi_frac"} - {"kld_max"}:
            low, high = r["ci95"][name]
            assert low <= m[name] + 1e-12 and m[name] <= high + 1e-12, name
        assert np.shape(r["samples"]["kld"]) == np.shape(r["samples"]["nll"]) == (1, SCORED)
        assert m["kld_mean"] == pytest.approx(np.mean(r["samples"]["kld"]))
        assert m["kld_p99"] == pytest.approx(np.percentile(r["samples"]["kld"], 99))
        assert m["kld_max"] == np.max(r["samples"]["kld"])
        assert m["nll_delta"] == pytest.approx(m["nll"] - judged[0]["metrics"]["nll"], abs=1e-12)
        assert m["decode_ms"] > 0 and m["prefill_ms"] > 0


def test_full_attention_is_its_own_reference(judged):
    full, streaming, knn = (r["metrics"] for r in judged)
    assert full["nll_delta"] == 0 == full["kld_max"] and full["same_top1_frac"] == 1 == full["scanned_frac"]
    assert 0 < knn["kld_mean"] < streaming["kld_mean"] and streaming["scanned_frac"] == 0 and knn["scanned_frac"] == 1


def test_questions_and_where_they_are_answered(judged):
    for r in judged:
        by_depth = {d: [] for d in DEPTHS}
        assert [q["task"] for q in r["questions"]] == ["single"] * 2 + ["multi"] * 2
        for q in r["questions"]:
            assert len(q["values"]) == (1 if q["task"] == "single" else len(DEPTHS)) and q["question"].endswith("?")
            for v in q["values"]:
                by_depth[v["depth"]].append(float(v["found"]))
        assert r["samples"]["needle_found"] == list(by_depth.values())
        # Two single needles at the first depths, two names with a number at every depth.
        assert [len(v) for v in r["samples"]["needle_found"]] == [3, 3, 2]
        expected = [np.mean([v["found"] for v in q["values"]]) for q in r["questions"]]
        assert r["metrics"]["needle_frac"] == pytest.approx(np.mean(expected))
        # In tokens of the whole prompt, in the order of the depths.
        at = r["needle_positions"]
        assert at == sorted(at) and len(at) == 2 + 2 * len(DEPTHS) and 0 < at[0] and at[-1] < CONTEXT - SCORED


def test_a_seed_repeats_and_another_hides_other_values(model, words, judged):
    def again(*more):
        return quality(model, words, "-c", CONTEXT, "--n-score", SCORED, "-k", 20, "--mode", "full,streaming,knn", *ASK, *more)
    assert rest(again()) == rest(judged)
    other = again("--seed", 99)
    assert other[0]["questions"][0]["values"] != judged[0]["questions"][0]["values"]


def test_losses_are_those_of_a_dump(tmp_path, model, words):
    """Without needles the prompt is the text itself."""
    prompt, n = 300, 40
    r, = quality(model, words, "-c", prompt + n, "--n-score", n, "--needle", 0, "--mode", "full", *F32)
    out = tmp_path / "d.h5"
    DUMP.run("-m", model, "-f", words, "-n", prompt + n + 1, "--logits", "--layers", 0, "--queries", "last:1", *F32, "-o", out)
    with h5py.File(out) as f:
        expected = f["logits/nll"][prompt:prompt + n]
    assert np.array(r["samples"]["nll"][0]) == pytest.approx(expected, abs=1e-4)
    assert r["metrics"]["needle_frac"] is None and "questions" not in r and r["config"]["needle_depths"] is None


def test_everything_retrieved_is_full_attention(model, words):
    prompt, n = 300, 1  # with more tokens more keys leave the window than k may be
    knn, = quality(model, words, "-c", prompt + n, "--n-score", n, "--needle", 0, "--mode", "knn", "-k", prompt - 40, *F32)
    assert abs(knn["metrics"]["nll_delta"]) < 1e-4 and knn["metrics"]["kld_max"] < 1e-4
    assert knn["metrics"]["same_top1_frac"] == 1


def test_modes_do_not_touch_each_other(model, words):
    """They take turns on one cache."""
    common = ["-c", CONTEXT, "--n-score", SCORED, "-k", 20, *ASK]
    together = quality(model, words, *common, "--mode", "full,streaming,knn")
    for r in together[1:]:
        alone, = quality(model, words, *common, "--mode", r["config"]["mode"])
        assert rest([alone]) == rest([r])


def test_needles_alone(model, words):
    r, = quality(model, words, "-c", CONTEXT, "--n-score", 0, "--mode", "streaming", *ASK)
    assert all(r["metrics"][name] is None for name in SCORES) and r["metrics"]["needle_frac"] is not None
    assert set(r["samples"]) == {"needle_found", "decode_ms"} and r["metrics"]["decode_ms"] > 0


def test_a_snapshot_takes_the_place_of_the_prefill(tmp_path, model, words):
    kv = tmp_path / "ctx.kv"
    common = ["-c", CONTEXT, "--n-score", 20, "-k", 20, "--mode", "full,knn"]
    first = quality(model, words, *common, *ASK, "--kv-out", kv)
    second = quality(model, words, *common, *ASK, "--kv-in", kv)
    assert rest(first) == rest(second)
    assert all(r["metrics"]["prefill_ms"] is None and "snapshot" in r["status_detail"] for r in second)
    # It holds the needles: another seed, or none, is another prompt.
    for other in ([*ASK, "--seed", 3], ["--needle", 0]):
        fails(65, "quality", "-m", model, "-f", words, *STATIC, *common, *other, "--kv-in", kv, say="of another text")


def test_chat_only_where_the_vocabulary_has_it(tmp_path, model, words):
    common = ["-c", CONTEXT, "--n-score", 0, "--needle", 1, "--mode", "full"]
    on, = quality(model, words, *common, "--chat", "on")
    off, = quality(model, words, *common, "--chat", "off")
    assert on["config"]["chat"] is True and off["config"]["chat"] is False
    phi = ROOT / "tests/golden/gguf/phi3-f16.gguf"
    fails(65, "quality", "-m", phi, "-f", words, *common, "--chat", "on", "--check-tensors", "off", "--rope-scaling", "linear",
          "--rope-scale", 64, say="<|im_start|>")


def test_table(model, words):
    out = run("quality", "-m", model, "-f", words, "-c", CONTEXT, "--n-score", 20, *STATIC, *ASK, "--mode", "full,streaming").stdout
    rows = [line for line in out.splitlines() if line.startswith("|")]
    assert len(rows) == 4 and "found by depth" in rows[0] and "| full " in rows[2] and max(map(len, rows)) <= 130
    assert "hidden at depth 0.2/0.5/0.9" in out
    csv = run("quality", "-m", model, "-f", words, "-c", 100, "--n-score", 20, "--needle", 0, "--mode", "full",
              "--format", "csv").stdout.splitlines()
    assert csv[0].startswith("context,mode,NLL") and csv[1].startswith("100,full,")


@pytest.mark.parametrize("metric,change", [("needle_frac", -0.2), ("nll_delta", 0.01), ("kld_mean", 0.1), ("same_top1_frac", -0.1)])
def test_compare_sees_a_loss(tmp_path, judged, metric, change):
    base, worse = tmp_path / "base", tmp_path / "worse"
    base.write_text("".join(json.dumps(r) + "\n" for r in judged))
    run("compare", base, base)
    bad = copy.deepcopy(judged)
    bad[-1]["metrics"][metric] += change
    worse.write_text("".join(json.dumps(r) + "\n" for r in bad))
    assert metric in run("compare", base, worse, code=1).stdout
    run("compare", worse, base)


def test_refusals(tmp_path, model, words):
    out = tmp_path / "out.jsonl"
    common = ["quality", "-m", model, "-f", words, *STATIC, "--mode", "full", "-o", out]
    fails(2, *common, "-c", 500, "--depths", "0.5,1.5", say="1.5 is not in 0..1")
    fails(2, *common, "-c", 500, "--depths", "nan", say="--depths")
    fails(2, *common, "-c", 500, "--task", "single,hay", say="known: single, passkey")
    fails(2, *common, "-c", 500, "--needle", 33)
    fails(2, *common, "-c", 500, "--needle", 0, "--n-score", 0, say="nothing to do")
    fails(2, *common, "-c", 100, "--needle", 0, "--n-score", 100, say="leaves no prompt")
    fails(2, *common, "-c", 700, "--n-score", 0, "--needle", 20, say="tokens to hide")
    fails(2, *common, "-c", 500, "--n-score", 20, "--needle", 0, "--mode", "knn", "-k", 5000, say="5000 keys")
    fails(65, *common, "-c", LIMIT + 1, "--n-score", 20, say="context too long")
    short = tmp_path / "short.txt"
    short.write_text("the keys")
    fails(65, "quality", "-m", model, "-f", short, "-c", 200, "--n-score", 20, say="text too short")
    fails(71, *common, "-c", 500, "--n-score", 20, "--needle", 0, "--memory-limit", "1MiB")
    assert not out.exists()
