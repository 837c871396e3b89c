# SPDX-License-Identifier: Apache-2.0
"""experiments/regression: counters catch an index made worse by one parameter in every run, at every level; the
history and its change points. What a time was decides nothing here."""
import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "plots"), str(ROOT / "tests/apps")]
from change_points import change_points  # noqa: E402
from program import BUILD, Program  # noqa: E402

REGRESSION = ROOT / "experiments/regression"
RECALL, BENCH = Program("recall"), Program("bench")
PAIRED = BUILD / "tests/bench_micro/paired_bench"
needs_paired = pytest.mark.skipif(not PAIRED.exists(), reason=f"{PAIRED} is not built")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    subprocess.run([sys.executable, REGRESSION / "inputs.py", folder], check=True)
    return folder


def curve(inputs, out, level, index, named=None):
    """Records of an index, which call it `named`."""
    out.unlink(missing_ok=True)
    RECALL.run("curve", "-d", inputs / "keys.h5", "-k", 50, "--index", index, "-o", out, "-q", "--format", "none",
               env={**os.environ, "RA_CPU_LEVEL": level})
    if named:
        name = lambda spec: spec.rsplit(",", 1)[0]  # the last key is of the search
        text = out.read_text()
        assert f'"index":"{name(index)}"' in text
        out.write_text(text.replace(f'"index":"{name(index)}"', f'"index":"{name(named)}"'))


def levels():
    return [l for l in ("scalar", "avx2", "avx512", "amx") if subprocess.run(
        [BENCH.path, "--build-info"], env={**os.environ, "RA_CPU_LEVEL": l}, capture_output=True).returncode == 0]


@RECALL.needed
@BENCH.needed
@pytest.mark.parametrize("good, worse", [("roar:m=35,ef=60", "roar:m=30,ef=60"), ("qivf:lists=64,probes=8", "qivf:lists=32,probes=8"),
                                         ("qgraph:prune=16,worth=100", "qgraph:prune=12,worth=100")])
def test_a_worse_index_is_caught_by_its_counters(inputs, tmp_path, good, worse):
    out, baseline = tmp_path / "records", tmp_path / "baseline"
    for level in levels():
        curve(inputs, out, level, good)
        BENCH.run("compare", out, "--export", f"records={baseline}")
        for _ in range(2):
            curve(inputs, out, level, good)
            BENCH.run("compare", baseline, out, "--counters", "--exact", code=0)
            curve(inputs, out, level, worse, named=good)
            done = BENCH.run("compare", baseline, out, "--counters", "--exact", code=1)
            assert "work_distances" in done.stdout
        # A default that changed has another name; that is no pass either.
        curve(inputs, out, level, worse)
        done = BENCH.run("compare", baseline, out, "--counters", "--exact", code=3)
        assert "not compared, index: " in done.stdout


@BENCH.needed
def test_the_committed_baselines_are_read():
    for path in sorted((REGRESSION / "baseline").glob("*.jsonl")):
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        assert {r["provenance"]["isa"] for r in lines} == {path.stem}
        assert {"dump", "recall", "build", "decode", "attention", "quality"} == {r["kind"] for r in lines}
        BENCH.run("compare", path, path, "--counters", "--exact", code=0)


def test_change_points_find_a_step_and_leave_noise_alone():
    rng = np.random.RandomState(5)
    alarms = sum(bool(change_points(0.005 * rng.standard_normal(30), 0)) for _ in range(50))
    assert alarms <= 3  # alpha is 1 %
    noise = 0.005 * rng.standard_normal(40)
    steps = noise + np.where(np.arange(40) >= 15, 0.04, 0) + np.where(np.arange(40) >= 28, -0.06, 0)
    assert change_points(steps, 0.02) == [15, 28]
    assert change_points(steps / 4, 0.02) == []  # smaller than asked for
    creep = noise + 0.002 * np.arange(40)  # no step shows by itself
    assert change_points(creep, 0.02)
    assert change_points([0.0] * 20, 0) == change_points([0.0, 1.0], 0) == []


def history(*arguments, code=0):
    done = subprocess.run([sys.executable, REGRESSION / "history.py", *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    return done


def test_history_is_appended_to_and_tells_what_changed(tmp_path):
    path, folder = tmp_path / "history.jsonl", tmp_path / "counters"
    folder.mkdir()
    (tmp_path / "info").write_text(json.dumps({"cpu": "x", "isa": "amx", "threads": 2}))
    for i in range(20):
        change = 0.05 * (i >= 12) + 0.001 * (i % 3)
        (tmp_path / "report").write_text(json.dumps({"rows": [
            {"name": "call topk", "evidence": "time", "new": 10, "change": change, "interval": [0, 0.1], "verdict": "ok"}]}))
        (folder / "amx.jsonl").write_text(json.dumps({"kind": "recall", "config": {"index": "ivf"},
                                                      "metrics": {"work_distances": 100 + (i >= 7)}}) + "\n")
        before = path.read_text() if path.exists() else ""
        history("append", path, "--counters", folder, "--times", tmp_path / "report", "--commit", f"c{i:02}",
                "--base-commit", "base", "--build-info", tmp_path / "info")
        assert path.read_text().startswith(before) and path.read_text().count("\n") == i + 1
    done = history("changes", path)
    assert "time topk: +0.1 % to +5.1 % of the base, from c12 on" in done.stdout
    assert 'counter amx recall {"index":"ivf"} work_distances: 100 to 101 with c07' in done.stdout
    assert len(done.stdout.splitlines()) == 2
    subprocess.run([sys.executable, ROOT / "plots/regression_history.py", tmp_path / "figure", path], check=True)
    assert (tmp_path / "figure.png").stat().st_size > 1000 and (tmp_path / "figure.svg").exists()
    for text, say in (("", "empty"), (path.read_text()[:-9], "line 20"), ('{"kind": "decode"}\n', "line 1")):
        (tmp_path / "bad").write_text(text)
        done = history("changes", tmp_path / "bad", code=1)
        assert say in done.stderr and done.stderr.count("\n") == 1


@needs_paired
def test_paired_bench_answers_turn_by_turn():
    def paired(*arguments, text="", code=0):
        done = subprocess.run([PAIRED, *arguments], input=text, capture_output=True, text=True)
        assert done.returncode == code, done.stderr
        return done
    names = paired("--list").stdout.split()
    assert "topk" in names and "search/flat" in names and len(names) == len(set(names)) > 40
    lines = paired("4", "topk", "search/flat", text="topk 2 3\nsearch/flat 1 1\ntopk 2 3\n").stdout.splitlines()
    assert lines[0] == "ready" and len(lines) == 6
    topk, flat = map(json.loads, lines[4:])
    assert (topk["kind"], topk["pair"], topk["in_turns"], topk["config"]) == ("call", 4, True, {"case": "topk"})
    # Answers are rounded.
    assert topk["samples"]["call_us"][0] == pytest.approx([float(lines[1]), float(lines[3])], rel=1e-4)
    assert flat["metrics"]["work_distances"] == 10 * 2048
    for arguments, text in ((["x"], ""), (["0", "none"], ""), (["0", "topk"], "topk\n"), (["0", "topk"], "topk 0 1\n")):
        done = paired(*arguments, text=text, code=2)
        assert done.stderr.startswith("paired_bench: error: ") and done.stderr.count("\n") == 1


@needs_paired
@BENCH.needed
def test_two_builds_in_turns(tmp_path):
    done = subprocess.run([sys.executable, REGRESSION / "pairs.py", BUILD, BUILD, "-o", tmp_path, "--cases", "topk,rope",
                           "--budget", "0"], capture_output=True, text=True)
    assert done.returncode in (0, 1, 3), done.stderr
    for name in ("base", "new", "again"):
        records = [json.loads(line) for line in (tmp_path / f"{name}.jsonl").open()]
        pairs = {r["pair"] for r in records}
        assert pairs == set(range(len(pairs))) and len(records) == 2 * len(pairs) and 10 <= len(pairs) <= 16
        assert {len(r["samples"]["call_us"][0]) for r in records} == {12}
    report = json.loads((tmp_path / "report.json").read_text())
    assert {row["name"] for row in report["rows"]} == {"call topk", "call rope"}
    assert "pairs of 2 cases" in done.stdout
