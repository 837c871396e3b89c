# SPDX-License-Identifier: Apache-2.0
"""ra-dump on a tiny model, killed at random points and resumed: the result has the same bytes as an uninterrupted run."""
import os
import pathlib
import random
import re
import signal
import subprocess
import time

import pytest
from program import as_from_a_terminal

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = pathlib.Path(os.environ.get("RA_BUILD", ROOT / "build/release")).resolve() / "apps/dump/ra-dump"
pytestmark = pytest.mark.skipif(not PROGRAM.exists(), reason=f"{PROGRAM} is not built")

MODEL = ROOT / "tests/golden/gguf/qwen2-q5_0.gguf"
CHUNK = 1024  # prompt positions of one pass
PROMPT, GENERATE = 8 * CHUNK + 100, 150
# Parts of one pass of the prompt, and of a few dozen generated ones.
ARGS = ["-m", MODEL, "--rope-scaling", "linear", "--rope-scale", 64, "--generate", GENERATE, "--temp", 0.7,
        "--dtype", "f16", "--queries", "stride:8", "--part-size", "16KiB"]
ENVIRONMENT = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000"}
KILLS = 12


def command(folder, *more):
    return [str(a) for a in [PROGRAM, "-t", 1, *ARGS, "--tokens-file", folder / "ids", "-o", "d.h5", *more]]


def start(folder, *more):
    return subprocess.Popen(command(folder, *more), cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            env=ENVIRONMENT, preexec_fn=as_from_a_terminal)


def finish(folder, *more):
    process = start(folder, *more)
    out, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return out


def write_ids(folder):
    folder.mkdir(exist_ok=True)
    (folder / "ids").write_text("\n".join(str((3 + 7 * i * i) % 288) for i in range(PROMPT)))


def without_command_line(data):
    """The bytes of a dump, but for the one attribute that names --resume."""
    import h5py
    import io
    items = {}
    with h5py.File(io.BytesIO(data)) as f:
        f.visititems(lambda name, item: items.update({name: item[()].tobytes()} if isinstance(item, h5py.Dataset) else {}))
        items.update({f"@{k}": bytes(str(v), "utf-8") for k, v in f.attrs.items() if k != "command_line"})
    return items


VARIANTS = {"plain": [], "layers": ["--layers", "1"], "logits": ["--logits"],
            "snapshot": ["--logits", "--kv-out", "c.kv", "--kv-dtype", "f32"]}


@pytest.fixture(scope="module", params=VARIANTS)
def whole(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "run"
    write_ids(folder)
    began = time.monotonic()
    finish(folder, *VARIANTS[request.param])
    seconds = time.monotonic() - began
    kv = (folder / "c.kv").read_bytes() if (folder / "c.kv").exists() else None
    return VARIANTS[request.param], without_command_line((folder / "d.h5").read_bytes()), kv, seconds


def check(folder, whole):
    _, dump, kv, _ = whole
    assert without_command_line((folder / "d.h5").read_bytes()) == dump
    assert kv is None or (folder / "c.kv").read_bytes() == kv
    assert not list(folder.glob("*.parts")) and not list(folder.glob("*.lock"))


def test_kills_at_random_points(tmp_path, whole):
    more, _, _, seconds = whole
    chance = random.Random(1)
    for kill in range(KILLS):
        folder = tmp_path / str(kill)
        write_ids(folder)
        for _ in range(2):  # killed, resumed and killed again
            process = start(folder, *more, "--resume")
            time.sleep(chance.uniform(0, seconds))
            process.kill()
            process.communicate()
        finish(folder, *more, "--resume")
        check(folder, whole)


@pytest.mark.parametrize("parts", [1, 3, 6, 8])
def test_interrupt_takes_back_what_was_computed(tmp_path, whole, parts):
    more = whole[0]
    folder = tmp_path / "run"
    write_ids(folder)
    process = start(folder, *more)
    manifest = folder / "d.h5.parts/manifest.jsonl"
    while process.poll() is None and not (manifest.exists() and manifest.read_bytes().count(b"\n") >= parts):
        time.sleep(0.002)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    if process.returncode == 0:
        pytest.skip("ended before the signal came")
    assert process.returncode == 75, errors
    last = errors.strip().splitlines()[-1]
    assert not (folder / "d.h5").exists()
    # The message holds the command that goes on.
    again = re.search(r"\(go on with: (.*)\)$", last).group(1)
    assert again.endswith("--resume")
    done = subprocess.run(again, shell=True, cwd=folder, capture_output=True, text=True, env=ENVIRONMENT, timeout=300)
    assert done.returncode == 0, done.stderr
    kept = int(re.search(r"(\d+) of \d+ tokens are kept", last).group(1))
    taken = re.search(r"(\d+) tokens taken from the interrupted run", done.stdout)
    # All of it but, in the prompt, the chunk that gives the last logits, and after it one token or two.
    least = kept // CHUNK * CHUNK - CHUNK if kept <= PROMPT else kept - 2
    assert (int(taken.group(1)) if taken else 0) >= least, (last, done.stdout)
    check(folder, whole)


def test_damaged_state_is_computed_again(tmp_path, whole):
    more = whole[0]
    folder = tmp_path / "run"
    write_ids(folder)
    process = start(folder, *more)
    state = folder / "d.h5.parts/state"
    while process.poll() is None and not (state.exists() and len(list(state.glob("*.kv"))) >= 3):
        time.sleep(0.002)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 75
    piece = sorted(state.glob("*.kv"))[1]
    data = bytearray(piece.read_bytes())
    data[-1] ^= 1
    piece.write_bytes(data)
    out = finish(folder, *more, "--resume")
    assert f"\n{CHUNK} tokens taken" in out
    check(folder, whole)


def test_another_run_is_refused(tmp_path, whole):
    more = whole[0]
    folder = tmp_path / "run"
    write_ids(folder)
    process = start(folder, *more)
    manifest = folder / "d.h5.parts/manifest.jsonl"
    while process.poll() is None and not (manifest.exists() and b"\n" in manifest.read_bytes()):
        time.sleep(0.002)
    process.kill()
    process.communicate()
    for change in (["--seed", "9"], ["--compute", "f32"], ["--allow-saturate"]):
        done = subprocess.run(command(folder, *more, "--resume", *change), cwd=folder, capture_output=True, text=True)
        assert done.returncode == 65 and "another model, prompt or options" in done.stderr, done.stderr
