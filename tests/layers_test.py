# SPDX-License-Identifier: Apache-2.0
"""House rules that rot silently: include table, third-party headers, mirrored tests, file length."""
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parent.parent

# module: what it may include besides itself
ALLOWED = {
    "kernels": set(),
    "lib/core": {"kernels"},
    "lib/gguf": {"kernels", "lib/core"},
    "lib/tokenizer": {"kernels", "lib/core"},
    "lib/store": {"kernels", "lib/core"},
    "lib/stats": {"kernels", "lib/core"},
    "lib/model": {"kernels", "lib/core", "lib/gguf", "lib/tokenizer"},
    "lib/index": {"kernels", "lib/core"},
    "lib/attention": {"kernels", "lib/core", "lib/model", "lib/index"},
    "lib/bench": {"kernels", "lib/core", "lib/stats"},
}
# third-party header prefix: the only places that may include it
THIRD_PARTY = {
    "hdf5": ["lib/store/"],
    "H5": ["lib/store/"],
    "Eigen/": ["lib/stats/", "lib/index/"],
    "faiss/": ["lib/index/faiss_"],
    "hnswlib/": ["lib/index/hnswlib_"],
    "utf8proc": ["lib/tokenizer/"],
    "CLI/": ["apps/"],
    "nlohmann/": ["lib/core/json.h"],
    "openssl/": ["lib/core/"],
    "xxhash": ["lib/core/"],
    "omp.h": ["lib/core/parallel.cc", "lib/index/faiss_"],
    "cuda": ["kernels/cuda/"],
    "cublas": ["kernels/cuda/gemm.h"],
    "immintrin.h": ["kernels/cpu/"],
}
INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^">]+)[">]', re.M)
MAX_LINES = 600
# Sources without a test file of their own, and why.
NO_MIRROR = {
    "lib/core/json.h": "names a library",
    "lib/core/provenance.cc": "describes the machine; its shape is checked in tests/bench/results_test.cc",
    "lib/attention/cuda_absent.cc": "what is left where CUDA is not built",
    "lib/index/faiss_absent.cc": "what is left where FAISS is not installed",
    "lib/index/hnswlib_absent.cc": "what is left where hnswlib is not installed",
    "lib/model/attention_policy.cc": "adds up fields",
}


def sources(*tops, suffixes=(".h", ".cc", ".cu", ".cuh")):
    for top in tops:
        for path in sorted((ROOT / top).rglob("*")):
            if path.suffix in suffixes:
                yield path.relative_to(ROOT)


def module(path):
    parts = pathlib.PurePosixPath(path).parts
    return "/".join(parts[:2]) if parts[0] == "lib" else parts[0]


def includes(path):
    return INCLUDE.findall((ROOT / path).read_text())


def test_include_table():
    bad = []
    for path in sources("kernels", "lib"):
        own = module(path)
        for quote, name in includes(path):
            if quote == '"' and module(name) != own and module(name) not in ALLOWED[own]:
                bad.append(f"{path}: {name}")
    assert not bad, "\n".join(bad)


def test_every_module_is_in_the_table():
    modules = {module(p) for p in sources("kernels", "lib")}
    assert modules == set(ALLOWED), modules ^ set(ALLOWED)


def test_third_party_headers_stay_where_they_belong():
    bad = []
    for path in sources("kernels", "lib", "apps"):
        for quote, name in includes(path):
            for prefix, places in THIRD_PARTY.items():
                if quote == "<" and name.startswith(prefix) and not any(str(path).startswith(p) for p in places):
                    bad.append(f"{path}: {name}")
    assert not bad, "\n".join(bad)


def test_link_edges_equal_the_include_table():
    bad = []
    for name, allowed in ALLOWED.items():
        text = (ROOT / name / "CMakeLists.txt").read_text()
        call = re.search(r"ra_module\(\w+(.*?)\n?\)", text, re.S).group(1)
        deps = re.search(r"\bDEPS\b([^A-Z)]*)", call)
        linked = {d if d == "kernels" else f"lib/{d}" for d in (deps.group(1).split() if deps else [])}
        if not linked <= allowed:
            bad.append(f"{name} links {sorted(linked - allowed)}")
    assert not bad, "\n".join(bad)


def test_each_source_has_its_test():
    missing = []
    for path in sources("kernels", "lib", suffixes=(".cc",)):
        if str(path) in NO_MIRROR or path.parts[1] in ("cpu", "cuda"):
            continue  # ISA versions are tested through the op's own test at every level
        mirror = pathlib.Path("tests", *(path.parts[1:] if path.parts[0] == "lib" else path.parts))
        if not (ROOT / mirror.with_name(path.stem + "_test.cc")).exists():
            missing.append(f"{path}: no {mirror.with_name(path.stem + '_test.cc')}")
    assert not missing, "\n".join(missing)


def test_files_stay_short():
    long = [f"{p}: {n} lines" for p in sources("kernels", "lib", "apps", "tests")
            if (n := len((ROOT / p).read_text().splitlines())) > MAX_LINES]
    assert not long, "\n".join(long)


def test_no_dumping_grounds():
    bad = [str(p) for p in sources("kernels", "lib", "apps")
           if {"util", "utils", "common", "misc", "helpers"} & set(re.split(r"[/_.]", str(p)))]
    assert not bad, "\n".join(bad)


def test_licence_headers():
    bad = [str(p) for p in [*sources("kernels", "lib", "apps", "tests"),
                            *sources("plots", "datasets", "experiments", "tests", suffixes=(".py", ".sh"))]
           if "SPDX-License-Identifier: Apache-2.0" not in "\n".join((ROOT / p).read_text().splitlines()[:3])]
    assert not bad, "\n".join(bad)


def test_lib_writes_nothing_to_stdout():
    bad = [str(p) for p in sources("kernels", "lib") if re.search(r"std::cout|\bprintf\(|fmt::print\(\"", (ROOT / p).read_text())]
    assert not bad, "\n".join(bad)
