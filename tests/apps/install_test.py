# SPDX-License-Identifier: Apache-2.0
"""The installed toolkit: nothing of it refers to the build, and a project outside builds against it, with CMake
and with pkg-config, and opens a dump."""
import os
import re
import shlex
import shutil
import subprocess

import pytest

import installed
from installed import run
from program import BUILD, ROOT

pytestmark = installed.needed
EXAMPLE = ROOT / "tests/install"


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    """Installed in one place and moved to another."""
    first = tmp_path_factory.mktemp("first") / "prefix"
    run("cmake", "--install", BUILD, "--prefix", first)
    prefix = tmp_path_factory.mktemp("then") / "moved"
    first.rename(prefix)
    return prefix


@pytest.fixture(scope="module")
def lib(prefix):
    return prefix / installed.cache("CMAKE_INSTALL_LIBDIR")


def test_what_is_installed(prefix, lib):
    assert {p.name for p in (prefix / "bin").iterdir()} == set(installed.PROGRAMS)
    assert {p for p in (prefix / "share").rglob("*") if p.is_file() and "doc" not in p.parts} == installed.described(prefix / "share")
    headers = prefix / "include/retrieval-attention"
    assert {p.relative_to(headers) for p in headers.rglob("*") if p.is_file()} == installed.public_headers()
    modules = {p.parent.name for p in ROOT.glob("lib/*/CMakeLists.txt") if "ra_module(" in p.read_text()} | {"kernels"}
    assert {p.name for p in lib.glob("*.a")} == {f"libra_{m}.a" for m in modules}


def test_installed_headers_include_only_installed_headers(prefix):
    headers = prefix / "include/retrieval-attention"
    missing = [f"{p.relative_to(headers)}: {name}" for p in headers.rglob("*.h")
               for name in re.findall(r'^\s*#\s*include\s+"([^"]+)"', p.read_text(), re.M) if not (headers / name).exists()]
    assert not missing, "\n".join(missing)


def test_nothing_refers_to_the_build(prefix):
    roots = [os.fsencode(str(ROOT) + "/"), os.fsencode(str(BUILD))]
    bad = [str(p.relative_to(prefix)) for p in prefix.rglob("*") if p.is_file() and any(r in p.read_bytes() for r in roots)]
    assert not bad, "\n".join(bad)


def recall_of(program, dump, index):
    return float(re.fullmatch(rf"{index} recall@10 ([\d.]+) scanned ([\d.]+)\n", run(program, dump, index)).group(1))


def check_example(program, dump):
    assert recall_of(program, dump, "flat") == 1
    assert 0.5 < recall_of(program, dump, "qivf") <= 1
    missing = subprocess.run([program, "missing.h5"], capture_output=True, text=True)
    assert missing.returncode == 66 and missing.stderr.startswith("search_dump: error: "), missing.stderr


def test_a_project_that_uses_cmake(prefix, dump, tmp_path):
    source = tmp_path / "source"
    shutil.copytree(EXAMPLE, source)
    run("cmake", "-S", source, "-B", tmp_path / "build", f"-DCMAKE_PREFIX_PATH={prefix}", "-DCMAKE_BUILD_TYPE=Release")
    run("cmake", "--build", tmp_path / "build")
    check_example(tmp_path / "build/search_dump", dump)


def test_a_project_that_uses_pkg_config(prefix, lib, dump, tmp_path):
    where = {**os.environ, "PKG_CONFIG_PATH": str(lib / "pkgconfig")}
    flags = run("pkg-config", "--cflags", "--libs", "retrieval-attention", env=where)
    assert run("pkg-config", "--modversion", "retrieval-attention", env=where).strip() == installed.cache("CMAKE_PROJECT_VERSION")
    program = tmp_path / "search_dump"
    run(installed.cache("CMAKE_CXX_COMPILER"), "-std=c++20", "-O1", EXAMPLE / "search_dump.cc", *shlex.split(flags), "-o", program)
    check_example(program, dump)


def test_a_wrong_version_is_refused(prefix, tmp_path):
    (tmp_path / "CMakeLists.txt").write_text("cmake_minimum_required(VERSION 3.25)\nproject(p LANGUAGES NONE)\n"
                                             "find_package(retrieval-attention 99 REQUIRED)\n")
    done = subprocess.run(["cmake", "-S", tmp_path, "-B", tmp_path / "b", f"-DCMAKE_PREFIX_PATH={prefix}"],
                          capture_output=True, text=True)
    assert done.returncode != 0 and "99" in done.stderr, done.stderr
