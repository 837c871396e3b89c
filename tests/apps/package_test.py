# SPDX-License-Identifier: Apache-2.0
"""The packages of cpack: their files, and that the programs run from an extracted tree with nothing but PATH."""
import pathlib
import re
import shutil

import pytest

import installed
from installed import run
from program import BUILD

pytestmark = [installed.needed,
              pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="dpkg-deb is not installed")]


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("packages")
    run("cpack", "--config", BUILD / "CPackConfig.cmake", "-B", folder)
    debs = {p.name.split("_")[0]: p for p in folder.glob("*.deb")}
    assert set(debs) == {"retrieval-attention", "libretrieval-attention-dev"}
    (archive,) = folder.glob("*.tar.gz")
    return debs, archive


def files(deb):
    """Regular files of a package, below usr/."""
    listing = run("dpkg-deb", "-c", deb)
    return {pathlib.PurePosixPath(line.split()[5]).relative_to("usr") for line in listing.splitlines() if line[0] == "-"}


def field(deb, name):
    return run("dpkg-deb", "-f", deb, name).strip()


def test_files_of_the_programs(packages):
    share = pathlib.PurePosixPath("share")
    expected = {pathlib.PurePosixPath("bin", p) for p in installed.PROGRAMS} | installed.described(share)
    assert files(packages[0]["retrieval-attention"]) == expected | {share / "doc/retrieval-attention/copyright"}


def test_files_of_the_library(packages):
    found = files(packages[0]["libretrieval-attention-dev"])
    headers = {pathlib.PurePosixPath("include/retrieval-attention", p) for p in installed.public_headers()}
    assert headers <= found
    rest = found - headers
    assert {p.suffix for p in rest if p.name != "copyright"} == {".a", ".cmake", ".pc"}, rest
    assert {p.name for p in rest} >= {"libra_core.a", "retrieval-attention-config.cmake", "retrieval-attention.pc"}
    assert not any(p.parts[0] == "bin" for p in rest)


def test_what_they_need(packages):
    deb = packages[0]["retrieval-attention"]
    assert field(deb, "Version").startswith(installed.cache("CMAKE_PROJECT_VERSION"))
    assert field(deb, "Architecture") == run("dpkg", "--print-architecture").strip()
    if shutil.which("dpkg-shlibdeps") and shutil.which("file"):
        assert re.search(r"\blibc6\b", field(deb, "Depends")) and "libhdf5" in field(deb, "Depends")
    needs = field(packages[0]["libretrieval-attention-dev"], "Depends")
    assert "libhdf5-dev" in needs and "libfmt-dev" in needs


@pytest.mark.parametrize("kind", ["deb", "tar.gz"])
def test_programs_run_from_an_extracted_tree(packages, dump, tmp_path, kind):
    debs, archive = packages
    if kind == "deb":
        run("dpkg-deb", "-x", debs["retrieval-attention"], tmp_path)
        path = tmp_path / "usr/bin"
    else:
        run("tar", "-xzf", archive, "-C", tmp_path, "--strip-components=1")
        path = tmp_path / "bin"
    only_path = {"PATH": f"{path}:/usr/bin:/bin"}
    for program in installed.PROGRAMS:
        version = run(program, "--version", env=only_path)
        assert version.startswith(f"{program} {installed.cache('CMAKE_PROJECT_VERSION')}"), version
        where = run("sh", "-c", f"command -v {program}", env=only_path).strip()
        assert pathlib.Path(where).parent == path
    table = run("ra-recall", "curve", "-d", dump, "--sink", 10, "--window", 100, "-k", 5, "--index", "flat", env=only_path)
    assert "flat" in table
    if kind == "tar.gz":
        assert (tmp_path / "include/retrieval-attention/lib/store/vectors.h").exists()
