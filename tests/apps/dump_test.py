# SPDX-License-Identifier: Apache-2.0
"""ra-dump on the tiny models: values against transformers, options, exit codes, signals, resume."""
import json
import os
import pathlib
import resource
import signal
import subprocess
import time

import h5py
import numpy as np
import pytest

from program import ROOT, Program, as_from_a_terminal

PROGRAM = Program("dump")
pytestmark = PROGRAM.needed

GOLDEN = ROOT / "tests/golden"
TINY = GOLDEN / "gguf/llama-f32.gguf"
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache"))
REAL = CACHE / "retrieval-attention/models/smollm2.gguf"
TEXT = "The keeper lit the lamp, cleaned the glass and wrote one line into the book. "
ENVIRONMENT = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000"}


def run(*args, **options):
    return PROGRAM.run(*args, code=None, env=ENVIRONMENT, **options)


def fails(code, *args, **options):
    return PROGRAM.fails(code, *args, env=ENVIRONMENT, **options)


def reference(name):
    with open(GOLDEN / "model" / f"{name}.ref", "rb") as f:
        header = json.loads(f.readline())
        arrays = {}
        for a in header["arrays"]:
            count = int(np.prod(a["shape"]))
            arrays[a["name"]] = np.frombuffer(f.read(4 * count), a["dtype"]).reshape(a["shape"])
    return header, arrays


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    return path


def contents(path):
    """Every dataset and attribute, but the command line."""
    out = {}
    with h5py.File(path) as f:
        def visit(name, item):
            if isinstance(item, h5py.Dataset):
                out[name] = item[()].tobytes()
            for key, value in item.attrs.items():
                out[f"{name}@{key}"] = np.asarray(value).tobytes()
        f.visititems(visit)
        for key, value in f.attrs.items():
            if key != "command_line":
                out[f"/@{key}"] = np.asarray(value).tobytes()
    return out


# ---- values ------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", ["llama-f32", "llama-kquants", "llama-window", "qwen2-f32",
                                  "qwen2-q5_0", "qwen3-f16", "gemma3-f16", "phi3-f16"])
@pytest.mark.parametrize("dtype,error", [("f32", 2e-5), ("f16", 2e-3), ("bf16", 1e-2)])
def test_equals_transformers(tmp_path, name, dtype, error):
    header, ref = reference(name)
    ids, out = tmp_path / "ids", tmp_path / "d.h5"
    ids.write_text("\n".join(map(str, ref["ids"])))
    done = run("-m", GOLDEN / "gguf" / header["model"], "--tokens-file", ids, "--compute", "f32",
               "--kv-dtype", "f32", "--dtype", dtype, "--generate", len(ref["greedy"]), "--logits",
               "-o", out)
    assert done.returncode == 0, done.stderr
    n = len(ref["ids"])
    with h5py.File(out) as f:
        assert f.attrs["model_sha256"].decode() == header["model_sha256"]
        assert f["tokens/ids"][:n].tolist() == ref["ids"].tolist()
        assert f["tokens/ids"][n:].tolist() == ref["greedy"].tolist()
        for layer, group in enumerate(f["layers"].values()):
            for kind in "qkv":
                got = group[kind][:, :n].astype("f8").transpose(1, 0, 2).reshape(n, -1)
                want = ref[kind][layer]
                assert np.abs(got - want).max() <= error * np.abs(want).max(), (layer, kind)
        logits = ref["logits"].astype("f8")
        nll = np.log(np.exp(logits).sum(1))[:-1] - logits[np.arange(n - 1), ref["ids"][1:]]
        assert np.abs(f["logits/nll"][:n - 1] - nll).max() < 1e-3
        assert f["logits/nll"].shape == (n + len(ref["greedy"]) - 1,)
        # the last logits are those of the last token run, not of the prompt
        assert f["logits/last"].shape == logits[-1].shape


def test_layers_say_what_they_have_otherwise(tmp_path, text):
    def attributes(model):
        out = tmp_path / "d.h5"
        assert run("-m", GOLDEN / "gguf" / f"{model}.gguf", "-f", text, "--force", "-o", out).returncode == 0
        with h5py.File(out) as f:
            return [{k: v.item() for k, v in g["q"].attrs.items() if k not in ("scale", "post_rope")}
                    for g in f["layers"].values()]
    assert attributes("gemma3-f16") == [{"sliding_window": 4, "rope_base": 1e4}] * 5 + [{}]
    assert attributes("llama-window") == [{"sliding_window": 4}] * 2
    assert attributes("qwen3-f16") == [{}] * 2


def test_attention_of_the_dump_is_the_models(tmp_path, text):
    """Recomputes attention's inputs from the file alone: probabilities are sane and causal."""
    out = tmp_path / "d.h5"
    assert run("-m", TINY, "-f", text, "-o", out).returncode == 0
    with h5py.File(out) as f:
        g = f["layers/00"]
        heads, kv_heads = g["q"].shape[0], g["k"].shape[0]
        scale = float(g["q"].attrs["scale"])
        assert abs(scale - g["q"].shape[2] ** -0.5) < 1e-7
        for h in range(heads):
            p = int(g["q_pos"][-1])
            s = scale * (g["k"][h * kv_heads // heads, :p + 1].astype("f4") @ g["q"][h, -1].astype("f4"))
            w = np.exp(s - s.max())
            assert np.isfinite(w).all() and w.sum() > 0


# ---- selection ---------------------------------------------------------------------------------

def test_layers_and_queries(tmp_path, text):
    whole, some = tmp_path / "whole.h5", tmp_path / "some.h5"
    assert run("-m", TINY, "-f", text, "-n", 20, "--generate", 3, "-o", whole).returncode == 0
    for queries, prompt in [("all", range(20)), ("last:4", range(16, 20)), ("last:99", range(20)),
                            ("stride:8", [3, 11, 19]), ("stride:50", [19])]:
        done = run("-m", TINY, "-f", text, "-n", 20, "--generate", 3, "--layers", "1", "--queries",
                   queries, "--force", "-o", some)
        assert done.returncode == 0, done.stderr
        positions = [*prompt, 20, 21, 22]
        with h5py.File(whole) as a, h5py.File(some) as b:
            assert list(b["layers"]) == ["01"]
            assert b["layers/01/q_pos"][:].tolist() == positions
            assert b["phase"][:].tolist() == [int(p >= 20) for p in positions]
            for kind in "kv":
                assert (a[f"layers/01/{kind}"][:] == b[f"layers/01/{kind}"][:]).all()
            assert (a["layers/01/q"][:][:, positions] == b["layers/01/q"][:]).all()
            assert b.attrs["n_layers"] == 2 and b.attrs["n_prefill"] == 20


def test_compress_and_parts_hold_the_same(tmp_path, text):
    plain, gzip, parts = (tmp_path / n for n in ("plain.h5", "gzip.h5", "parts.h5"))
    common = ["-m", TINY, "-f", text, "--generate", 2]
    assert run(*common, "-o", plain).returncode == 0
    assert run(*common, "--compress", "gzip:6", "-o", gzip).returncode == 0
    assert run(*common, "--single-limit", "1KiB", "-o", parts).returncode == 0
    assert (tmp_path / "parts.h5.parts").is_dir() and not (tmp_path / "plain.h5.parts").exists()
    with h5py.File(plain) as a, h5py.File(gzip) as b, h5py.File(parts) as c:
        assert b["layers/00/k"].compression == "gzip" and b["layers/00/k"].shuffle
        assert c["layers/00/k"].is_virtual
        for layer in a["layers"]:
            for name in ("k", "v", "q", "q_pos"):
                path = f"layers/{layer}/{name}"
                assert (a[path][:] == b[path][:]).all() and (a[path][:] == c[path][:]).all()


def test_runs_are_equal_bytes(tmp_path, text):
    files = []
    for name in ("a", "b"):
        folder = tmp_path / name
        folder.mkdir()
        done = run("-m", TINY, "-f", text, "--generate", 4, "--temp", 0.8, "--logits", "-o", "d.h5",
                   cwd=folder)
        assert done.returncode == 0, done.stderr
        files.append((folder / "d.h5").read_bytes())
    assert files[0] == files[1]


@pytest.mark.parametrize("model", ["llama-kquants", "qwen2-q5_0", "gemma3-f16"])
@pytest.mark.parametrize("compute", ["auto", "f32"])
def test_any_number_of_threads_gives_the_same_bits(tmp_path, model, compute):
    ids = tmp_path / "ids.txt"
    ids.write_text("".join(f"{1 + 7 * i % 200}\n" for i in range(700)))
    held = []
    for threads in (1, 2, 3, 5, 8):
        out = tmp_path / f"{threads}.h5"
        Program("dump", threads).run("-m", GOLDEN / f"gguf/{model}.gguf", "--tokens-file", ids, "--generate", 6,
                                     "--logits", "--dtype", "f32", "--compute", compute, "-o", out, env=ENVIRONMENT)
        held.append(contents(out))
    assert all(h == held[0] for h in held[1:])


def test_rope_scaling_is_recorded(tmp_path, text):
    out = tmp_path / "d.h5"
    assert run("-m", TINY, "-f", text, "--rope-scaling", "linear", "--rope-scale", 4, "-o", out).returncode == 0
    with h5py.File(out) as f:
        scaling = json.loads(f.attrs["rope_scaling"].decode())
        assert scaling["type"] == "linear" and scaling["factor"] == 4
    fails(2, "-m", TINY, "-f", text, "--rope-scaling", "linear", "-o", tmp_path / "e.h5")
    llama3 = tmp_path / "m.gguf"
    subprocess.run([ROOT / "datasets/make_tiny_gguf.py", "--rope-freqs", "-o", llama3], check=True)
    assert run("-m", llama3, "-f", text, "--force", "-o", out).returncode == 0
    with h5py.File(out) as f:
        scaling = json.loads(f.attrs["rope_scaling"].decode())
    assert scaling["type"] == "llama3" and 4 < scaling["factor"] < 8
    # An override replaces the file's factors.
    assert run("-m", llama3, "-f", text, "--rope-scaling", "none", "--force", "-o", out).returncode == 0
    with h5py.File(out) as f:
        assert json.loads(f.attrs["rope_scaling"].decode())["type"] == "none"


# ---- what is printed -----------------------------------------------------------------------------

def test_estimate_is_one_json_line_and_writes_nothing(tmp_path, text):
    out = tmp_path / "d.h5"
    args = ["-m", TINY, "-f", text, "--generate", 5, "--logits"]
    done = run(*args, "--estimate", "-o", out)
    assert done.returncode == 0 and done.stdout.count("\n") == 1, done
    estimate = json.loads(done.stdout)
    assert not out.exists() and sorted(p.name for p in tmp_path.iterdir()) == ["text.txt"]
    assert run(*args, "-o", out).returncode == 0
    with h5py.File(out) as f:
        assert estimate["tokens"] == f.attrs["n_tokens"]
    assert out.stat().st_size <= estimate["output_bytes"]
    assert estimate["seconds"] > 0 and estimate["peak_memory_bytes"] > 1 << 20


def test_quiet_says_nothing(tmp_path, text):
    done = run("-q", "-m", TINY, "-f", text, "-o", tmp_path / "d.h5", "--progress", "always")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    done = run("-m", TINY, "-f", text, "-o", tmp_path / "e.h5")
    assert "tok/s" in done.stdout and done.stderr == ""


# ---- errors --------------------------------------------------------------------------------------

def test_exit_codes_before_any_compute(tmp_path, text):
    out = tmp_path / "d.h5"
    good = ["-m", TINY, "-f", text, "-o", out]
    fails(2, "-m", TINY, "-f", text)
    fails(2, "-m", TINY, "-o", out)
    fails(2, "-m", TINY, "-f", text, "-o", "-")
    fails(2, *good, "--layers", "0,9")
    fails(2, *good, "--queries", "some")
    fails(2, *good, "--compress", "lzma")
    fails(2, *good, "--dtype", "int8")
    fails(2, *good, "--tokens-file", text)
    fails(66, "-m", tmp_path / "none.gguf", "-f", text, "-o", out)
    fails(66, "-m", TINY, "-f", tmp_path / "none.txt", "-o", out)
    fails(66, "-m", TINY, "-f", tmp_path, "-o", out)
    fails(65, "-m", text, "-f", text, "-o", out)
    fails(73, "-m", TINY, "-f", text, "-o", tmp_path / "no/such/d.h5")
    fails(73, "-m", TINY, "-f", text, "-o", text, "--force")
    assert "requires" in fails(71, *good, "--memory-limit", "1MiB")
    (tmp_path / "bad.txt").write_bytes(b"abc\xff")
    assert "byte 3" in fails(65, "-m", TINY, "-f", tmp_path / "bad.txt", "-o", out)
    assert run("-m", TINY, "-f", tmp_path / "bad.txt", "--utf8", "replace", "--estimate").returncode == 0
    (tmp_path / "empty.txt").write_bytes(b"")
    fails(65, "-m", TINY, "-f", tmp_path / "empty.txt", "-o", out)
    (tmp_path / "ids").write_text("1\n100000\n")
    assert "line 2" in fails(65, "-m", TINY, "--tokens-file", tmp_path / "ids", "-o", out)
    message = fails(65, *good, "--generate", 100000)
    assert "100000 generated" in message and "context is" in message
    assert not out.exists() and not list(tmp_path.glob("d.h5*"))


def test_existing_output(tmp_path, text):
    out = tmp_path / "d.h5"
    out.write_text("precious")
    assert "--force" in fails(73, "-m", TINY, "-f", text, "-o", out)
    assert out.read_text() == "precious"
    assert run("-m", TINY, "-f", text, "-o", out, "--force").returncode == 0
    assert h5py.is_hdf5(out)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_folder_of_somebody_else(tmp_path, text):
    def as_nobody():
        os.setgid(65534)
        os.setuid(65534)
    folder = pathlib.Path("/dev/shm")  # reachable by nobody, unlike pytest's own folder
    locked = folder / f"ra_locked_{os.getpid()}"
    locked.mkdir(mode=0o755)
    copies = [folder / f"ra_{os.getpid()}_{n}" for n in ("m.gguf", "t.txt", "ra-dump")]
    try:
        for source, copy in zip((TINY, text, PROGRAM.path), copies):
            copy.write_bytes(source.read_bytes())
            copy.chmod(0o755)
        done = subprocess.run([copies[2], "-m", copies[0], "-f", copies[1], "-o", locked / "d.h5"],
                              capture_output=True, text=True, preexec_fn=as_nobody)
        assert done.returncode == 77, done.stderr
    finally:
        for copy in copies:
            copy.unlink(missing_ok=True)
        locked.rmdir()


def test_file_size_limit_leaves_the_old_file(tmp_path, text):
    out = tmp_path / "d.h5"
    out.write_text("old")
    for limit in (100, 5000, 20000):
        def limited(bytes_=limit):
            resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_, bytes_))
        message = fails(74, "-m", TINY, "-f", text, "--force", "-o", out, preexec_fn=limited)
        assert "d.h5" in message and "bytes" in message
        assert out.read_text() == "old"
    assert run("-m", TINY, "-f", text, "--force", "-o", out).returncode == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["d.h5", "text.txt"]


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_full_disk(tmp_path, text):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48k", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("cannot mount a tmpfs here")
    try:
        message = fails(74, "-m", TINY, "-f", text, "-o", disk / "d.h5")
        assert "needs" in message and "free" in message
        assert not (disk / "d.h5").exists()
    finally:
        subprocess.run(["umount", disk], check=True)


def test_closed_stdout_is_no_crash(tmp_path, text):
    done = subprocess.run(f"'{PROGRAM.path}' -t 1 -m '{TINY}' -f '{text}' -o '{tmp_path}/d.h5' >&-", shell=True,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert h5py.is_hdf5(tmp_path / "d.h5")


# ---- interruption, on a real model ---------------------------------------------------------------

real = pytest.mark.skipif(not REAL.exists(), reason=f"{REAL} is not there")
LONG = ["-m", REAL, "-n", 16, "--generate", 40, "--logits"]


def wait_for(condition, process, seconds=120):
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        if condition():
            return True
        time.sleep(0.002)
    return False


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    (folder / "text.txt").write_text(TEXT)
    assert run(*LONG, "-f", folder / "text.txt", "-o", folder / "d.h5").returncode == 0
    return contents(folder / "d.h5")


def start(text, out, *more):
    return subprocess.Popen(PROGRAM.command(*LONG, "-f", text, "-o", out, *more), preexec_fn=as_from_a_terminal,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)


@real
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_then_resume(tmp_path, text, uninterrupted, number):
    out, manifest = tmp_path / "d.h5", tmp_path / "d.h5.parts/manifest.jsonl"
    process = start(text, out)
    assert wait_for(lambda: manifest.exists() and manifest.stat().st_size, process)  # the prompt is kept
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 75, errors
    assert "--resume" in errors and number.name in errors
    assert not out.exists()
    kept = int(errors.split(" tokens are kept")[0].split()[-3])
    assert 16 <= kept < 56
    fails(73, *LONG, "-f", text, "-o", out)  # neither --resume nor --force
    fails(65, *LONG, "-f", text, "-o", out, "--resume", "--seed", 9)
    assert run(*LONG, "-f", text, "-o", out, "--resume").returncode == 0
    assert contents(out) == uninterrupted
    assert sorted(p.name for p in tmp_path.iterdir()) == ["d.h5", "text.txt"]
    done = run(*LONG, "-f", text, "-o", out, "--resume")
    assert done.returncode == 0 and "complete already" in done.stdout


@real
def test_second_signal_leaves_at_once(tmp_path, text):
    process = start(text, tmp_path / "d.h5")
    assert wait_for(lambda: (tmp_path / "d.h5.parts").exists(), process)
    process.send_signal(signal.SIGSTOP)  # so that both are pending at once
    os.waitpid(process.pid, os.WUNTRACED)
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGCONT)
    process.communicate(timeout=60)
    assert process.returncode in (128 + signal.SIGTERM, 128 + signal.SIGINT)
    assert not (tmp_path / "d.h5").exists()


@real
@pytest.mark.parametrize("after", [0.0, 0.3, 1.0])
def test_kill_then_resume(tmp_path, text, uninterrupted, after):
    out = tmp_path / "d.h5"
    process = start(text, out)
    wait_for(lambda: (tmp_path / "d.h5.parts").exists(), process)
    time.sleep(after)
    process.kill()
    process.communicate()
    if out.exists():
        assert contents(out) == uninterrupted
    done = run(*LONG, "-f", text, "-o", out, "--resume")
    assert done.returncode == 0, done.stderr
    assert contents(out) == uninterrupted


@real
def test_two_writers(tmp_path, text, uninterrupted):
    out = tmp_path / "d.h5"
    first = start(text, out)
    assert wait_for(lambda: (tmp_path / "d.h5.parts").exists(), first)
    second = start(text, out, "--force")
    _, errors = second.communicate(timeout=120)
    assert second.returncode == 73 and f"process {first.pid} is writing it" in errors
    assert first.wait(timeout=120) == 0
    assert contents(out) == uninterrupted
