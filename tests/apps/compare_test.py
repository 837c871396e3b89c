# SPDX-License-Identifier: Apache-2.0
"""ra-bench compare: its verdicts on made-up results, and what it refuses."""
import importlib.util
import json
import pathlib
import random
import subprocess
import sys

import pytest

from program import Program

PROGRAM = Program("bench")
pytestmark = PROGRAM.needed
run, fails = PROGRAM.run, PROGRAM.fails
GOOGLE_COMPARE = pathlib.Path("/usr/share/benchmark/compare.py")


def made_up(ms=10.0, seed=1, mode="full", pairs=12, samples=60, **metrics):
    """Records as ra-bench writes them, with 1 % of noise; pairs=1: of one run without a number."""
    rng = random.Random(seed)
    return [{
        "schema_version": 1, "tool": "ra-bench", "tool_version": "0.1.0", "kind": "decode", "time_utc": "2026-01-31T12:00:00Z",
        "run_id": f"{seed:016x}", "pair": pair if pairs > 1 else None, "status": "ok", "status_detail": None,
        "provenance": {"cpu": "x", "isa": "avx2", "threads": 2}, "config": {"mode": mode, "context": 4096},
        "metrics": {"decode_ms": ms, "work_distances": 1000, "kld_mean": 0.01, **metrics},
        "samples": {"decode_ms": [[ms * rng.gauss(1, 0.01) for _ in range(samples)]]}, "percentiles": {},
    } for pair in range(pairs)]


def google(ms=10.0, seed=1, repetitions=20, **more):
    rng = random.Random(seed)
    runs = [{"name": "dot/64", "run_name": "dot/64", "run_type": "iteration", "repetition_index": i, "iterations": 1,
             "real_time": ms * rng.gauss(1, 0.005), "cpu_time": 1.0, "time_unit": "ns", **more} for i in range(repetitions)]
    mean = {**runs[0], "name": "dot/64_mean", "run_type": "aggregate", "real_time": 1e9}
    return {"context": {"num_cpus": 2, "host_name": "h"}, "benchmarks": [*runs, mean]}


@pytest.fixture
def compare(tmp_path):
    def call(base, new, *options, code):
        for name, content in (("base", base), ("new", new)):
            text = json.dumps(content) if isinstance(content, dict) else "".join(json.dumps(r) + "\n" for r in content)
            (tmp_path / name).write_text(text)
        return run("compare", tmp_path / "base", tmp_path / "new", *options, code=code)
    return call


def test_paired_times(compare):
    base = made_up(10, 1)
    done = compare(base, made_up(10, 2), code=0)
    assert done.stdout.startswith("no regression: 0 of 1 times slower") and done.stderr == ""
    done = compare(base, made_up(11, 2), code=1)
    assert done.stdout.startswith("regression: 1 of 1 times slower") and "decode full" in done.stdout
    assert "improved" in compare(base, made_up(9, 2), code=0).stdout
    compare(base, made_up(11, 2), "--threshold", "20%", code=0)
    compare(base, made_up(11, 2), "--threshold", "0.2", code=0)


def test_times_without_pairs_decide_only_if_asked(compare):
    base, same, slow = made_up(10, 1, pairs=1), made_up(10, 2, pairs=1), made_up(11, 2, pairs=1)
    for new in (same, slow):
        done = compare(base, new, code=3)
        assert "times are not paired" in done.stdout and "--pair I" in done.stderr
    compare(base, same, "--unpaired", code=0)
    compare(base, slow, "--unpaired", code=1)
    compare(base, slow, "--counters", code=0)


def test_what_the_base_differs_from_itself_raises_the_threshold(compare, tmp_path):
    (tmp_path / "again").write_text("".join(json.dumps(r) + "\n" for r in made_up(10.4, 3)))
    done = compare(made_up(10, 1), made_up(10.5, 2), "--again", tmp_path / "again", "--format", "json", code=0)
    (row,) = [r for r in json.loads(done.stdout)["rows"] if r["evidence"] == "time"]
    assert 0.035 < row["aa_floor"] < 0.045 and row["threshold"] == pytest.approx(2 * row["aa_floor"])
    assert len(row["log_ratios"]) == 12 and "raised" in row["note"]
    compare(made_up(10, 1), made_up(10.5, 2), code=1)
    compare(made_up(10, 1), made_up(11.5, 2), "--again", tmp_path / "again", code=1)


def test_samples_taken_in_turns_are_divided_one_by_one(compare):
    """The machine is 2.3 times slower in half of each run, but not in the same half: medians jump, ratios do not."""
    base, new = made_up(10, 1), made_up(10, 2)
    rng = random.Random(3)
    for a, b in zip(base, new):
        a["in_turns"] = b["in_turns"] = True
        for i in range(60):
            factor = 2.3 if rng.random() < 0.5 else 1
            for r in (a, b):
                r["samples"]["decode_ms"][0][i] *= factor
    compare(base, new, code=0)
    for b in new:
        b["samples"]["decode_ms"] = [[1.1 * x for x in b["samples"]["decode_ms"][0]]]
    compare(base, new, code=1)


def test_many_measurements_need_surer_ones(compare):
    """One 10 % slower in each of 10 pairs: sure by itself, not among 20 measurements (20 / 1024 > 1 %)."""
    def many(ms, seed):
        return [r for i in range(20) for r in made_up(ms if i == 0 else 10, 100 * seed + i, mode=f"m{i}", pairs=10)]
    done = compare(many(10, 1), many(11, 2), "--alpha", "0.01", code=3)
    assert "too few pairs for so many measurements" in done.stdout
    compare(many(10, 1)[:10], many(11, 2)[:10], "--alpha", "0.01", code=1)


def test_compare_counters_need_no_statistics(compare):
    compare(made_up(), made_up(seed=2, work_distances=1001), code=1)
    compare(made_up(), made_up(seed=2, work_distances=999), code=0)
    compare(made_up(), made_up(seed=2, work_distances=999), "--exact", code=1)
    compare(made_up(), made_up(seed=2, kld_mean=0.02), code=1)
    compare(made_up(hash_k=5), made_up(seed=2, hash_k=4), code=1)
    assert "work_distances" not in compare(made_up(), made_up(seed=2), code=0).stdout
    assert "work_distances" in compare(made_up(), made_up(seed=2), "-v", code=0).stdout


def test_a_counter_that_does_not_repeat_is_no_evidence(compare):
    new = made_up(seed=2)
    new[3]["metrics"]["work_distances"] = 1001
    assert "differs between runs of new" in compare(made_up(), new, code=3).stdout
    gone = made_up(seed=2)
    for r in gone:
        del r["metrics"]["kld_mean"]
    assert "not in new" in compare(made_up(), gone, code=3).stdout
    compare(made_up(), gone, "--allow-missing", code=0)


def test_a_baseline_of_counters(compare, tmp_path):
    """Exported, it has the same bytes whatever the run, and serves on another CPU of the same level."""
    baselines = []
    for seed in (1, 2):
        (tmp_path / "r").write_text("".join(json.dumps(r) + "\n" for r in made_up(seed=seed) + made_up(mode="knn", seed=seed)))
        run("compare", tmp_path / "r", "--export", f"records={tmp_path / 'b'}")
        baselines.append((tmp_path / "b").read_text())
    assert baselines[0] == baselines[1] and baselines[0].count("\n") == 2 and "decode_ms" not in baselines[0]
    base = [json.loads(line) for line in baselines[0].splitlines()]
    new = made_up(50) + made_up(50, mode="knn")
    assert "no regression: 0 of 0 times" in compare(base, new, "--counters", "--exact", code=0).stdout
    new[0]["provenance"]["isa"] = "amx"
    assert "other machine: isa: 'avx2' against" in compare(base, new, "--counters", "--exact", code=3).stdout


def test_compare_exports_the_new_side(compare, tmp_path):
    files = {f: tmp_path / f for f in ("googlebench", "smaller-is-better", "md", "csv", "records")}
    exports = [a for f, path in files.items() for a in ("--export", f"{f}={path}")]
    compare(made_up(10), made_up(20, 2), *exports, code=1)
    *_, mean, median, stddev, cv = json.loads(files["googlebench"].read_text())["benchmarks"]
    assert 19 < median["real_time"] < 21 and median["time_unit"] == "ms" and median["work_distances"] == 1000
    assert {e["unit"] for e in json.loads(files["smaller-is-better"].read_text())} == {"ms", "count"}
    assert "work_distances" in files["md"].read_text() and "work_distances" in files["csv"].read_text()


@pytest.mark.skipif(not GOOGLE_COMPARE.exists() or importlib.util.find_spec("scipy") is None,
                    reason="apt-get install libbenchmark-tools python3-scipy")
@pytest.mark.parametrize("ms, differs", [(10, False), (10.1, True)])
def test_google_benchmarks_own_compare_reads_an_export(compare, tmp_path, ms, differs):
    """12 pairs of 60 samples: its U test sees 1 %."""
    compare(made_up(10, 1), made_up(ms, 2), code=0)
    for side in ("base", "new"):
        run("compare", tmp_path / side, "--export", f"googlebench={tmp_path / side}.json")
    done = subprocess.run([sys.executable, GOOGLE_COMPARE, "--no-color", "-d", tmp_path / "diff.json", "benchmarks",
                           tmp_path / "base.json", tmp_path / "new.json"], capture_output=True, text=True)
    assert done.returncode == 0 and "U Test, Repetitions: 720 vs 720" in done.stdout, done.stderr
    first, *_, overall = json.loads((tmp_path / "diff.json").read_text())
    assert len(first["measurements"]) == 720
    assert (first["utest"]["time_pvalue"] < 1e-6) == differs
    assert overall["measurements"][0]["time"] == pytest.approx(ms / 10 - 1, abs=0.002)


def test_one_file_is_only_converted(compare, tmp_path):
    compare(made_up(10), made_up(10), code=0)
    run("compare", tmp_path / "base", "--export", f"googlebench={tmp_path}/b.json", code=0)
    run("compare", tmp_path / "b.json", tmp_path / "b.json", code=3)  # not paired
    assert "one file" in run("compare", tmp_path / "base", code=2).stderr
    assert "not a format" in run("compare", tmp_path / "base", "--export", "xml=a", code=2).stderr
    assert "names no file" in run("compare", tmp_path / "base", "--export", "md", code=2).stderr


def test_compare_is_inconclusive_rather_than_silent(compare):
    assert "too few samples" in compare(made_up(pairs=3), made_up(seed=2, pairs=3), code=3).stdout
    both, one = made_up() + made_up(mode="knn"), made_up(seed=2)
    assert "only in base" in compare(both, one, code=3).stdout
    assert "only in new" in compare(one, both, code=3).stdout
    compare(both, one, "--allow-missing", code=0)


@pytest.mark.parametrize("field", ["cpu", "isa", "threads"])
def test_compare_refuses_other_machines(compare, field):
    elsewhere = made_up(20, 2)
    elsewhere[0]["provenance"][field] = "y"  # one pair of them is enough
    assert f"other machine: {field}: " in compare(made_up(), elsewhere, code=3).stdout


def test_compare_refuses_other_models_and_says_what_differs(compare):
    base, new = made_up(), made_up(20, 2)
    for records, digit in ((base, "a"), (new, "b")):
        for r in records:
            r["config"]["model_sha256"] = digit * 64
    done = compare(base, new, code=3)
    assert 'not compared, model_sha256: "aaaaaaaa' in done.stdout and "+100" not in done.stdout
    compare(base, new, "--allow-missing", code=3)  # nothing in common at all


def test_compare_reads_google_benchmark(compare, tmp_path):
    assert "not paired" in compare(google(), google(10, 2), code=3).stdout
    compare(google(), google(10, 2), "--unpaired", code=0)
    assert "dot/64" in compare(google(), google(12, 2), "--unpaired", code=1).stdout
    compare(google(work_bytes=64), google(10, 2, work_bytes=65), code=1)
    compare(google(), google(10, 2, repetitions=3), "--unpaired", code=3)
    compare(google(), made_up(), code=3)  # nothing in common


@pytest.mark.parametrize("numbered", [False, True])
def test_google_benchmark_outputs_in_a_row_are_pairs(tmp_path, numbered):
    def outputs(ms, seed):
        all = [google(ms, seed + i, 3) for i in range(12)]
        for i, o in enumerate(all):
            if numbered:
                o["context"]["pair"] = str(i)
        return "\n".join(json.dumps(o, indent=1) for o in all)
    (tmp_path / "base").write_text(outputs(10, 0))
    for ms, code in ((10, 0), (11, 1)):
        (tmp_path / "new").write_text(outputs(ms, 50))
        assert "|    12 |" in run("compare", tmp_path / "base", tmp_path / "new", code=code).stdout


def test_compare_quiet_and_formats(compare):
    done = compare(made_up(), made_up(seed=2), "--format", "none", "-q", code=0)
    assert (done.stdout, done.stderr) == ("", "")


def test_compare_refuses_bad_files(tmp_path):
    good, bad = tmp_path / "good", tmp_path / "bad"
    line = json.dumps(made_up()[0])
    good.write_text(line + "\n")
    benchmarks = json.dumps(google())
    for text, say in [("", "empty"), (benchmarks[:-40], "not JSON from here on"), (benchmarks + "{}", "no \"benchmarks\""),
                      (benchmarks.replace('"num_cpus"', '"pair": "x", "num_cpus"'), "'x' is not a number"), ("not json\n", "line 1"), (line + "\n" + line[:50], "line 2: the line is cut short"),
                      (line.replace('"schema_version": 1', '"schema_version": 2'), "this program reads 1"), ("[1]", "no schema_version"),
                      ('{"benchmarks": []}', "nothing measured"), ('{"benchmarks": [{"name": "x"}]}', "real_time"),
                      ('{"benchmarks": [{"name": "x", "real_time": "1"}]}', "bad result file"),
                      ("[]", "no schema_version"), (line[:-1] + ', "pair": -3}', "record 1: type must be a number from 0 on, but is number"),
                      (line[:-1] + ', "pair": 1.5}', "record 1: type must be a number from 0 on, but is number"), (line + "\n" + line[:-1] + ', "kind": 3}', "record 2: type must be string"),
                      (line[:-1] + ', "samples": [1]}', "must be object"), (line[:-1] + ', "samples": {"decode_ms": [1]}}', "must be array"),
                      (line[:-1] + ', "samples": {"decode_ms": [["1"]]}}', "must be number"), (line[:-1] + ', "metrics": [1]}', "must be object"),
                      (line[:-1] + ', "config": "x"}', "must be object"), (line[:-1] + ', "provenance": null}', "must be object"),
                      ('{"benchmarks": {}}', "must be array"), ('{"benchmarks": [1]}', "must be object"), (line + "\n" + benchmarks, "line 2"),
                      (line.replace('"ok"', '"failed"'), "no record with status ok"), (line.replace('"config"', '"c"'), "bad result file")]:
        bad.write_text(text)
        fails(65, "compare", bad, good, say=say)
        fails(65, "compare", good, bad, say=say)
    fails(65, "compare", good, good, say="one pair only")
    other = tmp_path / "other"
    other.write_text(line.replace('"pair": 0', '"pair": 1') + "\n")
    fails(65, "compare", good, other, say="no pair number")
    run("compare", good, good, "--counters", code=0)
    fails(66, "compare", good, tmp_path / "absent", say="absent")
    fails(66, "compare", good, good, "--again", tmp_path / "absent", say="absent")
    fails(66, "compare", good, tmp_path, say="not a regular file")
    fails(2, "compare", good)
    fails(2, "compare", good, good, "--threshold", "some", say="--threshold")
    fails(2, "compare", good, good, "--threshold", "-3%", say="--threshold")
    fails(2, "compare", good, good, "--alpha", "1")
