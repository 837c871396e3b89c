# SPDX-License-Identifier: Apache-2.0
"""A tiny random model, a text for it and a dump of both, made once for all tests of the programs."""
import random
import subprocess
import sys

import pytest

from program import ROOT, Program

CONTEXT = 1024  # of the model
PROMPT, GENERATED = 600, 9  # of the dump
WORDS = "the attention of one query sits on few keys and rest hold almost nothing so a decoder finds them".split()


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("inputs")


@pytest.fixture(scope="session")
def model(folder):
    path = folder / "tiny.gguf"
    subprocess.run([sys.executable, ROOT / "datasets/make_tiny_gguf.py", "--context", str(CONTEXT), "-o", path], check=True)
    return path


@pytest.fixture(scope="session")
def words(folder):
    path = folder / "words.txt"
    path.write_text(" ".join(random.Random(7).choices(WORDS, k=2 * CONTEXT)))
    return path


@pytest.fixture(scope="session")
def dump(folder, model, words):
    """Layer 1 of 2, every query, f32."""
    program = Program("dump")
    if not program.path.exists():
        pytest.skip(f"{program.path} is not built")
    path = folder / "tiny.h5"
    program.run("-m", model, "-f", words, "-n", PROMPT, "--generate", GENERATED, "--layers", 1, "--dtype", "f32",
                "-o", path)
    return path
