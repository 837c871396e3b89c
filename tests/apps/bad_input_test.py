# SPDX-License-Identifier: Apache-2.0
"""Every kind of bad input against every program that meets it: the documented exit code, one line, nothing left
behind."""
import os
import random
import resource
import shutil
import struct
import subprocess

import h5py
import numpy as np
import pytest

from conftest import CONTEXT
from program import Program, tree

DUMP, RECALL, BENCH = Program("dump"), Program("recall"), Program("bench")
pytestmark = [p.needed for p in (DUMP, RECALL, BENCH)]


class Call:
    """One way to start a program: `arguments` makes a command line of what it reads and writes."""

    def __init__(self, program, arguments):
        self.program, self.arguments = program, arguments

    def fails(self, code, folder, *paths, say="", **options):
        """Must fail and leave `folder` as it is."""
        before = tree(folder)
        line = self.program.fails(code, *self.arguments(*paths), say=say, **options)
        assert tree(folder) == before
        return line


# (model, text, output) -> a run of a few tokens
ON_MODELS = {
    "dump": Call(DUMP, lambda m, t, o: ["-m", m, "-f", t, "-n", 12, "--generate", 2, "-o", o]),
    "dump-read": Call(DUMP, lambda m, t, o: ["-m", m, "-f", t, "-n", 12, "--load-mode", "read", "-o", o]),
    "bench-decode": Call(BENCH, lambda m, t, o: ["decode", "-m", m, "-f", t, "-c", 16, "-n", 4, "-r", 1, "--mode", "full,streaming",
                                                "-o", o]),
}
# (dump, output) -> a run over all that the dump holds
STATIC = ["--sink", 8, "--window", 32]
ON_DUMPS = {
    "recall-ood": Call(RECALL, lambda d, o: ["ood", "-d", d, *STATIC, "-o", o]),
    "recall-sparsity": Call(RECALL, lambda d, o: ["sparsity", "-d", d, *STATIC, "--ks", 10, "-o", o]),
    "recall-overlap": Call(RECALL, lambda d, o: ["overlap", "-d", d, *STATIC, "-k", 10, "-o", o]),
    "recall-curve": Call(RECALL, lambda d, o: ["curve", "-d", d, *STATIC, "-k", 10, "--index", "flat", "-o", o]),
    "recall-build": Call(RECALL, lambda d, o: ["build", "-d", d, *STATIC, "--index", "roar:m=8", "-o", o]),
    "bench-attention": Call(BENCH, lambda d, o: ["attention", "-d", d, *STATIC, "-k", 10, "--mode", "streaming,knn", "-r", 1,
                                                "--queries", 4, "-o", o]),
}
WITHOUT_OUTPUT = {
    "recall-list": Call(RECALL, lambda d, o: ["list", "-d", d]),
    "recall-export": Call(RECALL, lambda d, o: ["export", "-d", d, *STATIC, "--format", "npy", "-o", o.with_suffix(".d")]),
}
on_models = pytest.mark.parametrize("call", ON_MODELS.values(), ids=ON_MODELS)
on_dumps = pytest.mark.parametrize("call", ON_DUMPS.values(), ids=ON_DUMPS)
on_all_dumps = pytest.mark.parametrize("call", [*ON_DUMPS.values(), *WITHOUT_OUTPUT.values()], ids=[*ON_DUMPS, *WITHOUT_OUTPUT])


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


# ---- models ----------------------------------------------------------------------------------------

def spoiled(tmp_path, model, change):
    """A copy of the model whose bytes went through `change`, which works in place."""
    data = bytearray(model.read_bytes())
    change(data)
    path = tmp_path / "bad.gguf"
    path.write_bytes(data)
    return path


def data_start(data):
    """Where the tensors' bytes begin: after the last record, padded."""
    record = data.rindex(b"output_norm.weight")
    end = record + len(b"output_norm.weight") + 4 + 8 + 4 + 8
    return -(-end // 32) * 32


@on_models
def test_truncated_model(tmp_path, model, words, out, call):
    whole = model.read_bytes()
    start = data_start(whole)
    lengths = [0, 1, 4, 7, 8, 23, 24, 31, 100, 1000, start // 2, start - 40, start - 1, start, start + 1, len(whole) // 2,
               len(whole) - 40]
    for length in lengths:
        path = tmp_path / "cut.gguf"
        path.write_bytes(whole[:length])
        call.fails(65, tmp_path, path, words, out, say="cut.gguf: ")


@pytest.mark.parametrize("name,flips", [("dump", 60), ("bench-decode", 10)])
def test_bit_flips_in_a_model(tmp_path, model, words, out, name, flips):
    call, rng = ON_MODELS[name], random.Random(11)
    size = model.stat().st_size
    head = data_start(model.read_bytes())
    refused = 0
    for i in range(flips):
        bit = rng.randrange(8 * (head if i % 3 else size))  # two of three in the metadata

        def flip(data):
            data[bit // 8] ^= 1 << bit % 8
        path = spoiled(tmp_path, model, flip)
        done = call.program.run(*call.arguments(path, words, out), code=None)
        # Some bits change a weight, a token or a name, and the model is still one.
        assert done.returncode in (0, 65), (bit, done.returncode, done.stderr)
        if done.returncode == 65:
            refused += 1
            call.program.check_failure(done)
            assert not out.exists(), bit
        out.unlink(missing_ok=True)
    assert refused > flips // 4


@on_models
def test_unsupported_tensor_type(tmp_path, model, words, out, call):
    def to(type_id):
        def change(data):
            name = b"blk.0.ffn_up.weight"
            struct.pack_into("<I", data, data.index(name) + len(name) + 4 + 2 * 8, type_id)
        return change
    for type_id, say in [(16, "IQ2_XXS (id 16) is not supported"), (4, "Q4_2 (id 4) was removed"), (999, "type id 999 is unknown")]:
        line = call.fails(65, tmp_path, spoiled(tmp_path, model, to(type_id)), words, out, say=say)
        assert "blk.0.ffn_up.weight at byte" in line and "supported: F32" in line


@on_models
def test_unsupported_architecture(tmp_path, model, words, out, call):
    def change(data):
        at = data.index(b"general.architecture") + len(b"general.architecture") + 4 + 8
        data[at:at + 5] = b"mamba"
    line = call.fails(65, tmp_path, spoiled(tmp_path, model, change), words, out, say="general.architecture")
    assert "mamba" in line and "llama, qwen2" in line


@on_models
def test_weights_that_are_not_numbers(tmp_path, model, words, out, call):
    def weights(name, *values):
        def change(data):
            record = data.index(name.encode()) + len(name)
            dims, = struct.unpack_from("<I", data, record)
            offset, = struct.unpack_from("<Q", data, record + 4 + 8 * dims + 4)
            struct.pack_into(f"<{len(values)}f", data, data_start(data) + offset, *values)
        return spoiled(tmp_path, model, change)
    line = call.fails(65, tmp_path, weights("blk.1.attn_k.weight", 1, float("nan")), words, out, say="NaN or infinite")
    assert "blk.1.attn_k.weight at byte" in line and "--check-tensors off" in line
    # Finite weights whose products are not: named by where it shows.
    call.fails(65, tmp_path, weights("blk.0.ffn_down.weight", *[3e38] * 8192), words, out, say="bad.gguf: layer 0: NaN or infinity")
    # By then the prompt's Q, K and V may be a finished part, which stays as after any other end.
    bad = weights("output_norm.weight", *[3e38] * 64)
    call.program.fails(65, *call.arguments(bad, words, out), say="bad.gguf: output.weight: NaN or infinity")
    assert not out.exists()


@on_models
def test_no_model(tmp_path, words, out, call):
    call.fails(66, tmp_path, tmp_path / "absent.gguf", words, out, say="absent.gguf")
    call.fails(66, tmp_path, tmp_path, words, out, say="not a regular file")
    call.fails(65, tmp_path, words, words, out, say="not 'GGUF'")
    os.mkfifo(tmp_path / "fifo")
    call.fails(66, tmp_path, tmp_path / "fifo", words, out, say="a FIFO")
    (tmp_path / "loop").symlink_to("loop")
    call.fails(66, tmp_path, tmp_path / "loop", words, out, say="symbolic links")


@on_models
def test_bytes_of_no_tensor_are_a_warning(tmp_path, model, words, out, call):
    path = spoiled(tmp_path, model, lambda data: data.extend(bytes(4096)))
    done = call.program.run(*call.arguments(path, words, out))
    assert done.stderr == f"{call.program.name}: warning: {path}: 4096 bytes belong to no tensor\n"
    out.unlink()
    assert call.program.run("-q", *call.arguments(path, words, out)).stderr == ""


@on_models
def test_names_from_files_are_escaped(tmp_path, model, words, out, call):
    def change(data):
        at = data.index(b"blk.0.ffn_up.weight")
        data[at:at + 4] = b"\x1b[2J"
    line = call.fails(65, tmp_path, spoiled(tmp_path, model, change), words, out)
    assert "\x1b" not in line


# ---- texts -----------------------------------------------------------------------------------------

@on_models
def test_text_that_is_not_utf8(tmp_path, model, words, out, call):
    text = tmp_path / "bad.txt"
    for tail, at in [(b"\xff", 9), (b"\xc3", 9), (b"\xed\xa0\x80", 9), (b"\xc0\xaf", 9), (b"ok \xf4\x90\x80\x80", 12)]:
        text.write_bytes(b"the keys " + tail)
        assert "--utf8 replace" in call.fails(65, tmp_path, model, text, out, say=f"bad.txt: byte {at}: ")
    text.write_bytes(words.read_bytes() + b"\xff")
    call.program.run(*call.arguments(model, text, out), "--utf8", "replace")


@on_models
def test_no_text(tmp_path, model, out, call):
    call.fails(66, tmp_path, model, tmp_path / "absent.txt", out, say="absent.txt")
    call.fails(66, tmp_path, model, tmp_path, out, say="not a regular file")
    (tmp_path / "empty.txt").write_bytes(b"")
    call.fails(65, tmp_path, model, tmp_path / "empty.txt", out, say="empty.txt")


def test_more_tokens_than_the_context(tmp_path, model, words, out):
    too_long = {
        "prompt": Call(DUMP, lambda o: ["-m", model, "-f", words, "-n", CONTEXT + 1, "-o", o]),
        "prompt and answer": Call(DUMP, lambda o: ["-m", model, "-f", words, "-n", CONTEXT - 4, "--generate", 5, "-o", o]),
        "no end": Call(DUMP, lambda o: ["-m", model, "-f", words, "-n", 5, "--generate", 2**62, "-o", o]),
        "bench": Call(BENCH, lambda o: ["decode", "-m", model, "-f", words, "-c", f"64,{CONTEXT + 1}", "--mode", "full", "-o", o]),
    }
    for call in too_long.values():
        call.fails(65, tmp_path, out, say="context too long")
    DUMP.run("-m", model, "-f", words, "-n", CONTEXT - 5, "--generate", 5, "--queries", "last:1", "-o", out)


def test_text_shorter_than_the_length(tmp_path, model, words, out):
    short = tmp_path / "short.txt"
    short.write_text("the keys")
    ON_MODELS["bench-decode"].fails(65, tmp_path, model, short, out, say="text too short")


# ---- dumps -----------------------------------------------------------------------------------------

def edited(tmp_path, dump, change):
    """A copy of the dump that went through `change`, which gets the h5py file."""
    path = tmp_path / "bad.h5"
    shutil.copy(dump, path)
    with h5py.File(path, "r+", libver=("v110", "v110")) as f:
        change(f)
    return path


@on_all_dumps
def test_truncated_dump(tmp_path, dump, out, call):
    whole = dump.read_bytes()
    for length in (0, 8, 40, 96, 1000, len(whole) // 2, len(whole) - 1):
        path = tmp_path / "cut.h5"
        path.write_bytes(whole[:length])
        call.fails(65, tmp_path, path, out, say="cut.h5: ")


@pytest.mark.parametrize("name,flips", [("recall-sparsity", 30), ("bench-attention", 8)])
def test_bit_flips_in_a_dump(tmp_path, dump, name, flips):
    """Each is refused, or nothing that was read has changed."""
    call, rng, whole = ON_DUMPS[name], random.Random(12), dump.read_bytes()

    def numbers(done):
        return [line.split('"metrics":')[1].split('"samples":')[0] for line in done.stdout.splitlines()] if name.startswith("recall") else None
    good = numbers(call.program.run(*call.arguments(dump, "-")))
    path = tmp_path / "flipped.h5"
    refused = 0
    for i in range(flips):
        bit = rng.randrange(8 * (4096 if i % 2 else len(whole)))
        data = bytearray(whole)
        data[bit // 8] ^= 1 << bit % 8
        path.write_bytes(data)
        done = call.program.run(*call.arguments(path, "-"), code=None)
        assert done.returncode in (0, 65), (bit, done.stderr)
        if done.returncode == 0:
            assert numbers(done) == good, bit
            continue
        refused += 1
        assert done.stderr.count("\n") == 1 and done.stderr.startswith(f"{call.program.name}: error: "), done.stderr
    assert refused > flips // 4


@on_all_dumps
def test_dump_that_was_never_finished(tmp_path, dump, out, call):
    call.fails(65, tmp_path, edited(tmp_path, dump, lambda f: f.attrs.modify("complete", np.uint8(0))), out, say="never finished")

    def absent(f):
        del f.attrs["complete"]
    call.fails(65, tmp_path, edited(tmp_path, dump, absent), out, say="never finished")
    call.fails(65, tmp_path, edited(tmp_path, dump, lambda f: f.attrs.modify("format_version", np.int64(2))), out,
               say="format_version")


@on_all_dumps
def test_dataset_that_is_missing_or_of_another_shape(tmp_path, dump, out, call):
    def missing(f):
        del f["layers/01/k"]
    call.fails(65, tmp_path, edited(tmp_path, dump, missing), out, say="layers/01/k: is missing")

    def narrow(f):
        k = f["layers/01/k"][:, :, :8]
        del f["layers/01/k"]
        f.create_dataset("layers/01/k", data=k, chunks=k.shape, fletcher32=True)
    call.fails(65, tmp_path, edited(tmp_path, dump, narrow), out, say="has shape")

    def elsewhere(f):
        del f["layers/01/k"]
        f["layers/01/k"] = h5py.ExternalLink("other.h5", "/k")
    call.fails(65, tmp_path, edited(tmp_path, dump, elsewhere), out, say="layers/01/k")


@on_dumps
def test_values_that_are_not_numbers(tmp_path, dump, out, call):
    never_read = {"recall-ood": "v", "recall-build": "v", "recall-sparsity": "v", "recall-overlap": "v"}
    name = next(n for n, c in ON_DUMPS.items() if c is call)
    for dataset in "kvq":
        for value in (np.nan, -np.inf):
            def change(f):
                # Of the first head, so that no record is written before it is met; training queries and test queries.
                f[f"layers/01/{dataset}"][0, [123, -3], 4] = value
            if dataset not in never_read.get(name, ""):
                call.fails(65, tmp_path, edited(tmp_path, dump, change), out, say=f"bad.h5: /layers/01/{dataset} head 0 row ")


@on_all_dumps
def test_no_dump(tmp_path, words, out, call):
    call.fails(66, tmp_path, tmp_path / "absent.h5", out, say="absent.h5")
    call.fails(66, tmp_path, tmp_path, out, say="not a regular file")
    call.fails(65, tmp_path, words, out, say="words.txt")
    os.mkfifo(tmp_path / "fifo")
    call.fails(66, tmp_path, tmp_path / "fifo", out, say="not a regular file")


@on_dumps
def test_dump_without_the_layer(tmp_path, dump, out, call):
    def layer_0(d, o):
        return [*call.arguments(d, o), "--layers", 0]
    assert "layer 0" in Call(call.program, layer_0).fails(65, tmp_path, dump, out, say="tiny.h5")


@pytest.mark.parametrize("name", ["recall-curve", "recall-sparsity", "recall-overlap", "bench-attention"])
def test_more_neighbours_than_keys(tmp_path, dump, out, name):
    def many(d, o):
        return [*ON_DUMPS[name].arguments(d, o), "--ks" if "sparsity" in name else "-k", 5000]
    # A repeated option is refused by itself, so the first one goes.
    plain = [str(a) for a in many(dump, out)]
    at = plain.index("--ks" if "sparsity" in name else "-k")
    del plain[at:at + 2]
    Call(ON_DUMPS[name].program, lambda: plain).fails(2, tmp_path, say="5000")


@pytest.mark.parametrize("spec,say", [("tree", "known: flat"), ("roar:bogus=1", "known keys"), ("roar:m=1000000", "m"),
                                      ("roar:metric=cosine", "raw"), ("roar:m", "not key=value"), ("", "empty"),
                                      ("m=3", "before any index"), ("roar:m=3,m=4", "twice")])
def test_index_specs(tmp_path, model, words, dump, out, spec, say):
    calls = [Call(RECALL, lambda: ["curve", "-d", dump, *STATIC, "--index", spec, "-o", out]),
             Call(RECALL, lambda: ["build", "-d", dump, *STATIC, "--index", spec, "-o", out]),
             Call(BENCH, lambda: ["attention", "-d", dump, *STATIC, f"--index={spec or ';'}", "-o", out]),
             Call(BENCH, lambda: ["decode", "-m", model, "-f", words, "-c", 200, *STATIC, f"--index={spec or ';'}", "-o", out])]
    for call in calls if spec else calls[2:]:
        call.fails(2, tmp_path, say=say)


# ---- outputs ---------------------------------------------------------------------------------------

def writers(model, words, dump):
    """output -> command line, of everything that appends records."""
    return [Call(c.program, lambda o, c=c: c.arguments(dump, o)) for c in ON_DUMPS.values()] + [
        Call(BENCH, lambda o: ON_MODELS["bench-decode"].arguments(model, words, o))]


def test_output_that_cannot_be_made(tmp_path, model, words, dump):
    (tmp_path / "folder").mkdir()
    (tmp_path / "notes").write_text("keep me")
    (tmp_path / "link").symlink_to("notes")
    for call in writers(model, words, dump):
        call.fails(73, tmp_path, tmp_path / "no/such/out", say="no/such/out")
        call.fails(73, tmp_path, tmp_path / "notes/out", say="notes/out")
        call.fails(73, tmp_path, tmp_path / "folder", say="folder")
        call.fails(73, tmp_path, tmp_path / "link", say="link")
        call.fails(73, tmp_path, tmp_path / "notes", say="result records")
    dump_to = Call(DUMP, lambda o: ["-m", model, "-f", words, "-n", 8, "--force", "-o", o])
    for name in ("no/such/out", "notes/out", "folder", "link"):
        dump_to.fails(73, tmp_path, tmp_path / name, say=name)


def test_full_device(tmp_path, model, words, dump):
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    for call in writers(model, words, dump):
        call.fails(74, tmp_path, "/dev/full", say="/dev/full: -: No space left on device")


def test_file_size_limit(tmp_path, model, words, dump):
    def limited():
        resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))
    out = tmp_path / "out"
    for call in writers(model, words, dump):
        call.fails(74, tmp_path, out, say="ulimit -f", preexec_fn=limited)
    line = '{"schema_version":1}\n'
    out.write_text(line)
    writers(model, words, dump)[0].fails(74, tmp_path, out, preexec_fn=limited)
    assert out.read_text() == line


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_full_disk(tmp_path, model, words, dump):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("cannot mount a tmpfs here")
    try:
        (disk / "full").write_bytes(bytes(8192))
        for call in writers(model, words, dump):
            call.fails(74, disk, disk / "out", say="free")
        export = WITHOUT_OUTPUT["recall-export"]
        done = RECALL.run(*export.arguments(dump, disk / "out"), code=74)
        assert done.stderr.count("\n") == 1 and "free" in done.stderr
        assert not [p for p in disk.rglob("*") if p.is_file() and p.name != "full"]
    finally:
        subprocess.run(["umount", disk], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_output_of_somebody_else(model, words, dump):
    def as_nobody():
        os.setgid(65534)
        os.setuid(65534)
    folder = "/dev/shm/" + f"ra_others_{os.getpid()}"  # reachable by nobody, unlike pytest's own folder
    os.mkdir(folder, 0o755)
    try:
        copies = {p: shutil.copy(p, folder) for p in (model, words, dump, BENCH.path, RECALL.path)}
        for path in copies.values():
            os.chmod(path, 0o755)
        before = sorted(os.listdir(folder))
        for call in writers(copies[model], copies[words], copies[dump]):
            command = [copies[call.program.path], *map(str, call.arguments(f"{folder}/out"))]
            done = subprocess.run(command, capture_output=True, text=True, preexec_fn=as_nobody)
            assert done.returncode == 77, done.stderr
            call.program.check_failure(done, "Permission denied")
        assert sorted(os.listdir(folder)) == before
    finally:
        shutil.rmtree(folder)
