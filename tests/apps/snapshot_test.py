# SPDX-License-Identifier: Apache-2.0
"""KV snapshots through the programs: ra-dump and ra-bench write them, ra-bench goes on from them."""
import hashlib
import json
import os
import pathlib
import struct
import subprocess

import h5py
import numpy as np
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("RA_BUILD", ROOT / "build/release")).resolve()
DUMP, BENCH = BUILD / "apps/dump/ra-dump", BUILD / "apps/bench/ra-bench"
pytestmark = pytest.mark.skipif(not DUMP.exists() or not BENCH.exists(), reason=f"{DUMP} or {BENCH} is not built")

GGUF = ROOT / "tests/golden/gguf"
MODEL = GGUF / "qwen2-q5_0.gguf"
N_DECODE, PROMPT = 6, 150
LENGTH = PROMPT + N_DECODE
BENCH_ARGS = ["-n", N_DECODE, "-r", 1, "-k", 8, "--sink", 4, "--window", 16, "--check-tensors", "off"]


def run(program, *args):
    return subprocess.run([program, "-t", "1", *map(str, args)], capture_output=True, text=True, timeout=300)


def fails(code, program, *args):
    done = run(program, *args)
    assert done.returncode == code, (done.returncode, done.stderr)
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(f"{program.name}: error: ") and last.count(": ") >= 5, last
    return last


def succeeds(program, *args):
    done = run(program, *args)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def ids(tmp_path):
    path = tmp_path / "ids"
    path.write_text("\n".join(str((3 + 7 * i * i) % 288) for i in range(200)))
    return path


def decode(ids, out, *more, length=LENGTH, modes="full,streaming,knn,retrieval"):
    """The deterministic part of each record. The index is one that learns from the sample of queries that a snapshot keeps;
    qivf learns from all that a prefill sees, and from the sample only where there was none."""
    index = ["--index", "roar:metric=query"] if "retrieval" in modes else []
    succeeds(BENCH, "decode", "-m", MODEL, "--tokens-file", ids, "-c", length, *BENCH_ARGS, "--mode", modes, *index,
             "-o", out, *more)
    records = [json.loads(line) for line in out.read_text().splitlines()]
    out.unlink()
    return [{"config": r["config"], "kld": r["samples"]["kld"], "top1": r["metrics"]["same_top1_frac"],
             **{k: v for k, v in r["metrics"].items() if k.startswith("work_") and k != "work_allocs"}}
            for r in records], records


def test_format(tmp_path, ids):
    """Every field of the file, read with nothing but its description."""
    for kv_dtype, element in (("bf16", 2), ("f32", 4)):
        kv, out = tmp_path / f"{kv_dtype}.kv", tmp_path / f"{kv_dtype}.h5"
        succeeds(DUMP, "-m", MODEL, "--tokens-file", ids, "-n", PROMPT, "--kv-dtype", kv_dtype, "--dtype", "f32",
                 "--generate", 2, "--kv-out", kv, "-o", out)
        raw = kv.read_bytes()
        assert raw[:8] == b"RAKVSNAP" and struct.unpack("<II", raw[8:16]) == (1, 0)
        json_bytes, start, size = struct.unpack("<QQQ", raw[16:40])
        assert start % 4096 == 0 and start + size == len(raw) and raw[56:64] == bytes(8)
        assert not any(raw[64 + json_bytes:start])
        header = json.loads(raw[64:64 + json_bytes])
        data = raw[start:]
        with h5py.File(out) as f:
            attrs = f.attrs
            prompt = f["tokens/ids"][:PROMPT]
            assert header["token_ids_sha256"] == hashlib.sha256(prompt.astype("<i4").tobytes()).hexdigest()
            assert header["n_tokens"] == PROMPT and header["dtype"] == kv_dtype
            assert header["next_token"] == f["tokens/ids"][PROMPT]
            for name in ("model_sha256", "architecture", "rope_style"):
                assert header[name] == attrs[name].decode()
            assert header["rope_scaling"] == json.loads(attrs["rope_scaling"].decode())
            for name in ("n_layers", "n_kv_heads", "head_dim", "value_dim", "rope_base"):
                assert header[name] == attrs[name]
            layers, kv_heads, dim = header["n_layers"], header["n_kv_heads"], header["head_dim"]
            names = [(t["layer"], t["name"]) for t in header["tensors"]]
            assert names[:2 * layers] == [(i, n) for i in range(layers) for n in "kv"]
            end = 0
            for t in header["tensors"]:
                assert t["offset"] % 4096 == 0 and 0 <= t["offset"] - end < 4096
                assert not any(data[end:t["offset"]]) and len(t["xxh3"]) == 16
                end = t["offset"] + t["bytes"]
                piece = data[t["offset"]:end]
                g = f[f"layers/{t['layer']:02}"]
                if t["name"] in "kv":
                    assert len(piece) == kv_heads * PROMPT * dim * element
                    want = g[t["name"]][:, :PROMPT]
                    if kv_dtype == "f32":
                        got = np.frombuffer(piece, "<f4").reshape(want.shape)
                        assert (got == want).all()
                    else:
                        got = (np.frombuffer(piece, "<u2").astype("<u4") << 16).view("<f4").reshape(want.shape)
                        assert (np.abs(got - want) <= np.abs(want) * 2.0 ** -8).all()
                elif t["name"] == "q_train":
                    got = (np.frombuffer(piece, "<u2").astype("<u4") << 16).view("<f4")
                    want = g["q"][:, :PROMPT]  # every position: there are fewer than 2048
                    assert (np.abs(got.reshape(want.shape) - want) <= np.abs(want) * 2.0 ** -8).all()
                else:
                    assert t["name"] == "q_train_pos"
                    assert (np.frombuffer(piece, "<i8") == np.arange(PROMPT)).all()
            assert end == size


@pytest.mark.parametrize("kv_dtype", ["bf16", "f32", "int8"])
def test_decode_goes_on_with_the_same_bits(tmp_path, ids, kv_dtype):
    from_dump, from_bench = tmp_path / "dump.kv", tmp_path / "bench.kv"
    succeeds(DUMP, "-m", MODEL, "--tokens-file", ids, "-n", PROMPT, "--kv-dtype", kv_dtype, "--kv-out", from_dump,
             "-o", tmp_path / "d.h5")
    want, records = decode(ids, tmp_path / "r", "--kv-dtype", kv_dtype, "--kv-out", from_bench)
    assert all(r["metrics"]["prefill_ms"] > 0 for r in records)
    assert from_dump.read_bytes() == from_bench.read_bytes()
    got, records = decode(ids, tmp_path / "r", "--kv-dtype", kv_dtype, "--kv-in", from_dump)
    assert got == want
    assert all(r["metrics"]["prefill_ms"] is None and "snapshot" in r["status_detail"] for r in records)


def test_a_longer_prompt_serves_shorter_ones(tmp_path, ids):
    kv = tmp_path / "ctx.kv"
    want, _ = decode(ids, tmp_path / "r", length="60,100")
    decode(ids, tmp_path / "r", "--kv-out", kv)
    got, _ = decode(ids, tmp_path / "r", "--kv-in", kv, length="60,100")
    assert got == want
    # Fewer training queries than a prefill would have given: the record says how many.
    decode(ids, tmp_path / "r", "--kv-out", kv, "--force", "--train", 10)
    got, _ = decode(ids, tmp_path / "r", "--kv-in", kv, length=60, modes="retrieval")
    assert got[0]["config"]["train"] == 4  # of 0, 15, 30, ... those before 54


def test_what_does_not_fit_is_refused(tmp_path, ids):
    kv = tmp_path / "ctx.kv"
    decode(ids, tmp_path / "r", "--kv-out", kv)
    def refused(*more, model=MODEL, tokens=ids, length=LENGTH, code=65):
        return fails(code, BENCH, "decode", "-m", model, "--tokens-file", tokens, "-c", length, *BENCH_ARGS,
                     "--mode", "full", *more)
    assert "model_sha256" in refused("--kv-in", kv, model=GGUF / "qwen2-kquants.gguf")
    assert "dtype" in refused("--kv-in", kv, "--kv-dtype", "f32")
    assert "dtype" in refused("--kv-in", kv, "--kv-dtype", "int8")
    assert "rope_scaling" in refused("--kv-in", kv, "--rope-scaling", "linear", "--rope-scale", 2)
    assert "longest prompt" in refused("--kv-in", kv, length=LENGTH + 1)
    other = tmp_path / "other"
    other.write_text(ids.read_text().replace("3\n", "5\n", 1))
    assert "token_ids_sha256" in refused("--kv-in", kv, tokens=other)
    refused("--kv-in", tmp_path / "none.kv", code=66)
    refused("--kv-in", ids)
    assert "--force" in refused("--kv-out", kv, code=73)
    refused("--kv-out", tmp_path / "no/such.kv", code=73)
    refused("--kv-out", kv, "--kv-in", kv, code=2)
    good = kv.read_bytes()
    bad = tmp_path / "bad.kv"
    for i in (0, 9, 20, 45, 50, 70, 4096 + 5, len(good) - 1):
        bad.write_bytes(good[:i] + bytes([good[i] ^ 1]) + good[i + 1:])
        refused("--kv-in", bad)
        bad.write_bytes(good[:i])
        refused("--kv-in", bad)
    start = struct.unpack("<Q", good[24:32])[0]
    bad.write_bytes(good[:start] + bytes([good[start] ^ 1]) + good[start + 1:])
    decode(ids, tmp_path / "r", "--kv-in", bad, "--trust-kv", modes="full")
    fails(2, BENCH, "decode", "-m", MODEL, "--tokens-file", ids, "-c", LENGTH, "--trust-kv")


def test_outputs_of_ra_dump(tmp_path, ids):
    out, kv = tmp_path / "d.h5", tmp_path / "c.kv"
    args = ["-m", MODEL, "--tokens-file", ids, "-n", PROMPT]
    fails(2, DUMP, *args, "-o", out, "--kv-out", out)
    fails(73, DUMP, *args, "-o", out, "--kv-out", ids, "--force")
    kv.write_text("precious")
    assert "--force" in fails(73, DUMP, *args, "-o", out, "--kv-out", kv)
    assert kv.read_text() == "precious" and not out.exists()
    assert "KV cache of 150 tokens" in succeeds(DUMP, *args, "-o", out, "--kv-out", kv, "--force")
    estimate = json.loads(succeeds(DUMP, *args, "--estimate", "--kv-out", kv))
    assert 0.5 * estimate["kv_out_bytes"] < kv.stat().st_size <= estimate["kv_out_bytes"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c.kv", "d.h5", "ids"]
