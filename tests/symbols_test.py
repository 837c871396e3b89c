# SPDX-License-Identifier: Apache-2.0
"""What the linker sees. Needs a build folder: RA_BUILD=build/release (set by tests/run.sh)."""
import os
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("RA_BUILD", ROOT / "build/release"))
needs_build = pytest.mark.skipif(not (BUILD / "CMakeCache.txt").exists(), reason=f"no build in {BUILD}")


@needs_build
def test_isa_objects_define_no_weak_functions():
    # A weak (inline) function compiled with AVX-512 may be the copy kept for the whole program.
    objects = [o for o in (BUILD / "kernels").rglob("*.o")
               if re.search(r"_(avx2|avx512|amx)\.cc\.o$", o.name)]
    assert objects, "no ISA objects found"
    bad = []
    for obj in objects:
        out = subprocess.run(["nm", "-C", "--defined-only", obj], capture_output=True, text=True, check=True).stdout
        bad += [f"{obj.name}: {line[17:]}" for line in out.splitlines() if line[17:18] in "WV"]
    assert not bad, "\n".join(bad)


@needs_build
@pytest.mark.parametrize("program", ["dump/ra-dump", "recall/ra-recall", "bench/ra-bench"])
def test_one_openmp_runtime(program):
    out = subprocess.run(["ldd", BUILD / "apps" / program], capture_output=True, text=True, check=True).stdout
    runtimes = set(re.findall(r"lib(?:gomp|omp|iomp5)\.so[.\d]*", out))
    assert len(runtimes) <= 1, runtimes
