# SPDX-License-Identifier: Apache-2.0
"""lib/store/read_dump.py on a toy dump and on one of ra-dump; the code of lib/store/python.md runs."""
import json
import re
import shutil
import subprocess
import sys

import h5py
import numpy as np
import pytest

from program import ROOT
from recall_test import DECODE, HEADS, LAYERS, PROMPT, SCALE, TOKENS, Toy, write_dump

READER = ROOT / "lib/store/read_dump.py"
sys.path.insert(0, str(READER.parent))
from read_dump import BadDump, Dump  # noqa: E402


@pytest.fixture
def toy(tmp_path):
    toy = Toy()
    toy.path = tmp_path / "dump.h5"
    write_dump(toy.path, toy.k, toy.v, toy.q)
    return toy


def command(*arguments):
    return subprocess.run([sys.executable, READER, *map(str, arguments)], capture_output=True, text=True)


def test_a_head_is_what_was_written(toy):
    dump = Dump(toy.path)
    assert dump.layers == list(LAYERS) and len(dump.tokens) == TOKENS and dump.phase.sum() == DECODE
    for layer in LAYERS:
        for h in range(HEADS):
            head = dump.head(layer, h)
            k, v, q = toy.head(layer, h)
            assert (head.keys == k).all() and (head.values == v).all() and (head.queries == q).all()
            for row in (0, PROMPT, -1):
                end = head.q_pos[row] + 1
                expected = np.exp(SCALE * (k[:end] @ q[row]))
                weights = head.weights(row)
                np.testing.assert_allclose(weights[:end], expected / expected.sum(), rtol=1e-9)
                assert (weights[end:] == 0).all()


def test_a_window_hides_keys(toy):
    with h5py.File(toy.path, "r+") as f:
        f["layers/00/q"].attrs["sliding_window"] = np.int64(50)
    weights = Dump(toy.path).head(0, 1).weights(-1)
    assert (weights[:-50] == 0).all() and (weights[-50:] > 0).all() and weights.sum() == pytest.approx(1)


def spoil(path, what):
    with h5py.File(path, "r+") as f:
        if what == "not complete":
            del f.attrs["complete"]
        elif what == "not a dump":
            f.attrs["format"] = np.bytes_("other")
        elif what == "not finite":
            del f["layers/00/v"]
            f["layers/00/v"] = np.full((2, TOKENS, 12), np.nan, "f2")
        elif what == "capped":
            f["layers/00/q"].attrs["softcap"] = 30.0
        else:
            f.attrs["parts_folder"] = np.bytes_("dump.h5.parts")


@pytest.mark.parametrize("what", ["not complete", "not a dump", "not finite", "capped", "parts are missing"])
def test_what_it_refuses(toy, what):
    spoil(toy.path, what)
    with pytest.raises(BadDump, match=what):
        Dump(toy.path).head(0, 0)
    done = command(toy.path, 0, 0)
    assert done.returncode == 65 and done.stdout == "" and done.stderr.count("\n") == 1, done.stderr


def test_the_command(toy, tmp_path):
    about = json.loads(command(toy.path).stdout)
    assert about["layers"] == list(LAYERS) and about["architecture"] == "llama" and about["queries"] == TOKENS
    lines = command(toy.path, LAYERS[0], 1).stdout.splitlines()
    weights = Dump(toy.path).head(LAYERS[0], 1).weights(-1)
    assert len(lines) == 10 and lines[0].split()[1] == str(np.argmax(weights))
    for arguments in ([toy.path, 1], [toy.path, 0, HEADS], [tmp_path / "missing.h5"]):
        assert command(*arguments).returncode == 65


def test_the_page_on_a_real_dump(dump, tmp_path):
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "lib/store/python.md").read_text(), re.S)
    (tmp_path / "lib/store").mkdir(parents=True)
    shutil.copy(READER, tmp_path / "lib/store")
    shutil.copy(dump, tmp_path / "dump.h5")
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and re.fullmatch(r"llama: the top 100 of 609 keys hold [\d.]+%\n", done.stdout), done
