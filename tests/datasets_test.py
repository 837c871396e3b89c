# SPDX-License-Identifier: Apache-2.0
"""The scripts of datasets/: no network, packages come from a folder of wheels made here."""
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import zipfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
DATASETS = ROOT / "datasets"
sys.path.insert(0, str(DATASETS))

import html_text  # noqa: E402


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def write_wheel(folder, package, version, members):
    name = package.replace("-", "_")
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for member, data in members.items():
            wheel.writestr(member, data)
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {package}\n"
                                           f"Version: {version}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\n"
                                        "Tag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return path


# Does what `pip download` does for a folder of wheels, without a second of start-up.
FAKE_PIP = """
import pathlib, shutil, sys
args = sys.argv[1:]
name, _, version = args[-1].partition("==")
dest, wheels = args[args.index("--dest") + 1], args[args.index("--find-links") + 1]
wheel = pathlib.Path(wheels) / f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
if not wheel.exists():
    sys.exit(f"WARNING: x\\nERROR: No matching distribution found for {args[-1]}")
shutil.copy(wheel, dest)
"""


class Fetch:
    """A cache, a folder of wheels and a manifest of one two-part model, a private one and a text."""

    def __init__(self, folder):
        self.cache, self.wheels = folder / "cache", folder / "wheels"
        self.pages, self.manifest_path = folder / "pages", folder / "manifest.json"
        self.fake_pip = folder / "fake_pip"
        for new in (self.wheels, self.pages, self.fake_pip):
            new.mkdir()
        (self.fake_pip / "pip.py").write_text(FAKE_PIP)
        self.parts = [os.urandom(3000), os.urandom(2000)]
        self.whole = b"".join(self.parts)
        for i, data in enumerate(self.parts, 1):
            write_wheel(self.wheels, f"ra-test-part{i}", "1.0", {f"p{i}/data.bin": data})
        (self.pages / "index.html").write_text(
            '<html><head><link rel="next" href="b.html"/></head><body><p>One.</p></body></html>')
        (self.pages / "b.html").write_text("<html><body><p>Two.</p></body></html>")
        self.manifest = {
            "models": {
                "tiny": {"title": "a model", "licence": "Apache-2.0", "bytes": 5000,
                         "sha256": sha256(self.whole), "parts": [
                             {"package": f"ra-test-part{i}", "version": "1.0",
                              "member": f"p{i}/data.bin", "bytes": len(d), "sha256": sha256(d)}
                             for i, d in enumerate(self.parts, 1)]},
                "private": {"title": "a model", "licence": "Some Terms of Use", "bytes": None,
                            "on_request": True, "sha256": sha256(self.parts[0]), "parts": [
                                {"package": "ra-test-part1", "version": "1.0",
                                 "member": "p1/data.bin"}]}},
            "texts": {"book": {"title": "a book", "licence": "GPL-2.0-or-later",
                               "debian_package": "ra-no-such-package", "version": "",
                               "pages": str(self.pages), "bytes": 1,
                               "sha256": sha256(b"One.\n\n\nTwo.\n")}}}

    def run(self, *arguments, **environment):
        self.manifest_path.write_text(json.dumps(self.manifest))
        env = {**os.environ, "RA_CACHE_DIR": str(self.cache), "RA_PYTHON": sys.executable,
               "RA_FETCH_MANIFEST": str(self.manifest_path),
               "RA_FETCH_WHEELS": str(self.wheels),
               "PYTHONPATH": str(self.fake_pip), **environment}
        return subprocess.run([str(DATASETS / "fetch"), *arguments], env=env, text=True,
                              capture_output=True, timeout=120, check=False)

    def model(self, name="tiny"):
        return self.cache / "models" / f"{name}.gguf"

    def leftovers(self):
        """Files of the cache beside finished ones."""
        return sorted(str(p.relative_to(self.cache)) for p in self.cache.rglob("*")
                      if p.is_file() and p.name != ".fetch.lock"
                      and not p.name.endswith((".gguf", ".txt", ".sha256-ok")))


@pytest.fixture
def fetch(tmp_path):
    return Fetch(tmp_path)


def one_error(done, code, *parts):
    assert done.returncode == code, done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("fetch: error: ")
    for part in parts:
        assert part in last
    assert done.stdout == ""


def test_joins_parts_and_prints_the_path(fetch):
    done = fetch.run("tiny")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{fetch.model()}\n"
    assert "Apache-2.0" in done.stderr
    assert fetch.model().read_bytes() == fetch.whole
    assert fetch.leftovers() == []


def test_second_run_needs_no_packages(fetch):
    fetch.run("tiny")
    shutil.rmtree(fetch.wheels)
    done = fetch.run("tiny")
    assert done.returncode == 0 and done.stdout == f"{fetch.model()}\n" and done.stderr == ""


def test_a_file_put_there_by_hand_is_verified_once(fetch):
    fetch.model().parent.mkdir(parents=True)
    fetch.model().write_bytes(fetch.whole)
    shutil.rmtree(fetch.wheels)
    assert fetch.run("tiny").returncode == 0
    assert fetch.model().with_name("tiny.gguf.sha256-ok").exists()


def test_a_damaged_file_is_fetched_again(fetch):
    fetch.run("tiny")
    fetch.model().write_bytes(fetch.whole[:-1])
    done = fetch.run("tiny")
    assert done.returncode == 0 and "fetching it again" in done.stderr
    assert fetch.model().read_bytes() == fetch.whole


def test_damage_that_keeps_size_and_time_is_found_by_verify(fetch):
    fetch.run("tiny")
    time = fetch.model().stat().st_mtime_ns
    fetch.model().write_bytes(bytes(5000))
    os.utime(fetch.model(), ns=(time, time))
    assert fetch.run("tiny").stderr == ""
    assert "fetching it again" in fetch.run("--verify", "tiny").stderr
    assert fetch.model().read_bytes() == fetch.whole


def test_finished_parts_are_kept(fetch):
    second = fetch.wheels / "ra_test_part2-1.0-py3-none-any.whl"
    away = fetch.wheels.parent / "away.whl"
    second.rename(away)
    one_error(fetch.run("tiny"), 74,
              "cannot download: ra-test-part2==1.0: No matching distribution found")
    assert fetch.leftovers() == ["models/.tiny.parts/01"]
    away.rename(second)
    (fetch.wheels / "ra_test_part1-1.0-py3-none-any.whl").unlink()
    done = fetch.run("tiny")
    assert done.returncode == 0, done.stderr
    assert "part 1 of 2" not in done.stderr and "part 2 of 2" in done.stderr
    assert fetch.model().read_bytes() == fetch.whole


def test_a_damaged_kept_part_is_fetched_again(fetch):
    parts = fetch.cache / "models" / ".tiny.parts"
    parts.mkdir(parents=True)
    (parts / "01").write_bytes(bytes(3000))
    (parts / "02").write_bytes(fetch.parts[1][:100])
    assert fetch.run("tiny").returncode == 0
    assert fetch.model().read_bytes() == fetch.whole


def test_wrong_hash_of_a_part_leaves_nothing(fetch):
    fetch.manifest["models"]["tiny"]["parts"][0]["sha256"] = "0" * 64
    one_error(fetch.run("tiny"), 65, "wrong hash: ra-test-part1", sha256(fetch.parts[0]), "0" * 64)
    assert not fetch.model().exists() and fetch.leftovers() == []


def test_wrong_hash_of_the_whole_leaves_nothing(fetch):
    fetch.manifest["models"]["tiny"]["sha256"] = "1" * 64
    one_error(fetch.run("tiny"), 65, "wrong hash: tiny", sha256(fetch.whole), "1" * 64)
    assert not fetch.model().exists() and fetch.leftovers() == []


def test_bad_packages_are_named(fetch):
    fetch.manifest["models"]["tiny"]["parts"][0]["member"] = "p1/other.bin"
    one_error(fetch.run("tiny"), 65, "bad package: ra_test_part1", "p1/other.bin")
    assert fetch.leftovers() == []


def test_offline_is_one_clear_line(fetch):
    # A closed port of this machine as the index: refused at once.
    done = fetch.run("tiny", RA_FETCH_WHEELS="", PYTHONPATH="",
                     PIP_INDEX_URL="http://127.0.0.1:9/simple")
    one_error(done, 74, "cannot download: ra-test-part1==1.0", "index cannot be reached", "offline?")
    assert fetch.leftovers() == []


def test_a_python_without_pip_is_named(fetch):
    (fetch.fake_pip / "pip.py").write_text("import sys; sys.exit('python3: No module named pip')")
    one_error(fetch.run("tiny"), 74, "has no pip", "python3-pip")


def test_the_real_pip_takes_wheels_from_a_folder(fetch):
    done = fetch.run("private", PYTHONPATH="")
    assert done.returncode == 0, done.stderr
    assert fetch.model("private").read_bytes() == fetch.parts[0]


def test_restricted_models_only_by_name(fetch):
    done = fetch.run("--all")
    assert done.returncode == 0, done.stderr
    assert fetch.model().exists() and not fetch.model("private").exists()
    done = fetch.run("private")
    assert "Some Terms of Use" in done.stderr
    assert fetch.model("private").read_bytes() == fetch.parts[0]


def test_list_shows_what_is_here(fetch):
    fetch.run("tiny")
    rows = {line.split()[0]: line.split() for line in fetch.run("--list").stdout.splitlines()}
    assert rows["tiny"][3] == "yes" and rows["private"][3] == "no" and rows["book"][1] == "text"


def test_unknown_names_list_the_known(fetch):
    one_error(fetch.run("nosuch"), 2, "nosuch", "one of tiny, private, book")
    assert fetch.run().returncode == 2


def test_unwritable_cache_is_one_line(fetch):
    fetch.cache.write_text("a file")
    one_error(fetch.run("tiny"), 74, "cannot write")


def test_cache_folder_follows_xdg(fetch, tmp_path):
    done = fetch.run("tiny", RA_CACHE_DIR="", XDG_CACHE_HOME=str(tmp_path / "xdg"))
    assert done.stdout.strip() == str(tmp_path / "xdg/retrieval-attention/models/tiny.gguf")


def test_text_is_converted_once(fetch):
    done = fetch.run("book")
    text = fetch.cache / "texts" / "book.txt"
    assert done.returncode == 0 and done.stdout == f"{text}\n"
    assert text.read_bytes() == b"One.\n\n\nTwo.\n"
    shutil.rmtree(fetch.pages)
    assert fetch.run("book").returncode == 0


def test_a_text_that_is_one_file_is_taken_as_it_is(fetch, tmp_path):
    source = tmp_path / "code.py"
    source.write_bytes(b"def f():\r\n\treturn 1\n")
    fetch.manifest["texts"]["code"] = {**fetch.manifest["texts"]["book"], "file": str(source), "sha256": sha256(source.read_bytes())}
    del fetch.manifest["texts"]["code"]["pages"]
    done = fetch.run("code")
    assert done.returncode == 0, done.stderr
    assert (fetch.cache / "texts" / "code.txt").read_bytes() == source.read_bytes()


def test_text_of_another_package_version_is_a_warning(fetch):
    (fetch.pages / "b.html").write_text("<html><body><p>Three.</p></body></html>")
    fetch.manifest["texts"]["book"]["version"] = "1.0"
    done = fetch.run("book")
    assert done.returncode == 0
    assert "warning: book: ra-no-such-package of unknown version instead of 1.0" in done.stderr
    assert sha256(b"One.\n\n\nThree.\n") in done.stderr
    shutil.rmtree(fetch.pages)
    assert fetch.run("book").stderr == ""


def test_text_of_the_same_version_must_have_its_hash(fetch):
    (fetch.pages / "b.html").write_text("<html><body><p>Three.</p></body></html>")
    one_error(fetch.run("book"), 65, "wrong hash: book")
    assert not (fetch.cache / "texts" / "book.txt").exists() and fetch.leftovers() == []


def test_manifest_of_the_project_is_complete():
    manifest = json.loads((DATASETS / "manifest.json").read_text())
    assert set(manifest["models"]) == {"smollm2", "qwen", "gemma3"}
    assert [n for n, m in manifest["models"].items() if m.get("on_request")] == ["gemma3"]
    for entry in [*manifest["models"].values(), *manifest["texts"].values()]:
        assert len(entry["sha256"]) == 64 and entry["licence"] and entry["title"]
    for model in manifest["models"].values():
        for part in model["parts"]:
            assert part["package"] and part["version"] and part["member"]
        sizes = [part["bytes"] for part in model["parts"]]
        assert sum(sizes) == model["bytes"]


# ---- HTML to text -----------------------------------------------------------------------------
def test_html_keeps_prose_and_drops_navigation():
    text, following = html_text.page_text("""
      <html><head><title>T</title><link rel="next" href="n.html"/><style>p{}</style></head><body>
      <div id="banner">B</div><p id="title">T</p><ul class="docnav top"><li>Next</li></ul>
      <h1>A   title</h1><div class="toc"><p>Contents</p></div>
      <p>Some <em>words</em>,\n  joined &amp; escaped&nbsp;here.<br/>More.</p>
      <ul><li><p>first</p></li><li>second</li></ul>
      <pre>  $ ls\n    a  b\n</pre><script>no()</script><p></p></body></html>""")
    assert following == "n.html"
    assert text.split("\n\n") == ["A title", "Some words, joined & escaped\xa0here. More.", "first",
                                  "- second", "$ ls\n    a  b"]


def test_html_survives_unclosed_and_stray_tags():
    text, following = html_text.page_text("<p>one<p>two</em></div><b>three")
    assert text == "one\n\ntwothree" and following is None


def test_pages_follow_next_and_stop_at_loops(tmp_path):
    for name, following in (("index", "b"), ("b", "c"), ("c", "index")):
        (tmp_path / f"{name}.html").write_text(
            f'<html><head><link rel="next" href="{following}.html"></head><body>{name}</body>')
    assert html_text.book_text(tmp_path) == b"index\n\n\nb\n\n\nc\n"


# ---- keys and values --------------------------------------------------------------------------
def key_values(path, *more):
    script = DATASETS / "make_key_values.py"
    return subprocess.run([sys.executable, str(script), "-o", str(path), *map(str, more)], capture_output=True, text=True, check=False)


def test_key_values_asks_for_pairs_of_the_whole_text_and_answers_rightly(tmp_path):
    path = tmp_path / "kv.txt"
    assert key_values(path, "--pairs", 40, "--asked", 8, "--seed", 3).returncode == 0
    text = path.read_text()
    data, asked = json.loads(text[text.index("{"):text.index("}") + 1]), re.findall(r'Key: "(.*)"\nThe value of this key is: "(.*)"\n', text)
    assert len(data) == 40 and len(asked) == 8 and all(data[key] == value for key, value in asked)
    places = [list(data).index(key) for key, _ in asked]
    assert sorted(p // 5 for p in places) == list(range(8)) and places != sorted(places)
    again = tmp_path / "again.txt"
    for seed, same in ((3, True), (4, False)):
        key_values(again, "--pairs", 40, "--asked", 8, "--seed", seed)
        assert (again.read_bytes() == path.read_bytes()) == same


def test_key_values_refuses_more_questions_than_pairs(tmp_path):
    done = key_values(tmp_path / "kv.txt", "--pairs", 3, "--asked", 4)
    assert done.returncode == 2 and "--asked" in done.stderr and not (tmp_path / "kv.txt").exists()


# ---- tiny models ------------------------------------------------------------------------------
def test_committed_fixtures_are_what_the_script_writes(tmp_path):
    script = DATASETS / "make_tiny_gguf.py"
    subprocess.run([sys.executable, str(script), "--fixtures", str(tmp_path)], check=True,
                   stdout=subprocess.DEVNULL)
    committed = ROOT / "tests" / "golden" / "gguf"
    names = sorted(p.name for p in committed.glob("*.gguf"))
    assert names == sorted(p.name for p in tmp_path.glob("*.gguf")) and len(names) >= 7
    for name in names:
        assert (tmp_path / name).read_bytes() == (committed / name).read_bytes(), name
        assert (committed / name).stat().st_size < 150_000


def test_tiny_models_depend_on_the_seed(tmp_path):
    files = []
    for i, seed in enumerate(("1", "1", "2")):
        files.append(tmp_path / f"{i}.gguf")
        subprocess.run([sys.executable, str(DATASETS / "make_tiny_gguf.py"), "--seed", seed, "-o",
                        str(files[-1])], check=True)
    assert files[0].read_bytes() == files[1].read_bytes() != files[2].read_bytes()


def test_tiny_models_refuse_impossible_options(tmp_path):
    for options in (["--types", "*=Q4_K"], ["--types", "*=Q9_9"], ["--vocab", "10"]):
        done = subprocess.run([sys.executable, str(DATASETS / "make_tiny_gguf.py"), *options, "-o",
                               str(tmp_path / "m.gguf")], capture_output=True, text=True,
                              check=False)
        assert done.returncode != 0 and "make_tiny_gguf: " in done.stderr
        assert not (tmp_path / "m.gguf").exists()


# ---- synthetic sets ---------------------------------------------------------------------------
SMALL = ["--keys", "3000", "--dim", "32", "--test", "40", "--learn", "60", "-k", "20",
         "--clustered", "8", "--clusters", "30"]


def make_synthetic(path, *options):
    return subprocess.run([sys.executable, str(DATASETS / "make_synthetic.py"), *SMALL, *options,
                           "-o", str(path)], capture_output=True, text=True, check=False)


def test_synthetic_set_holds_its_answer(tmp_path):
    np, h5py = pytest.importorskip("numpy"), pytest.importorskip("h5py")
    assert make_synthetic(tmp_path / "a").returncode == 0
    with h5py.File(tmp_path / "a") as f:
        keys, test, learn = (f[name][:].astype(float) for name in ("train", "test", "learn"))
        ids, scores = f["neighbors"][:], f["distances"][:]
        attributes = dict(f.attrs)
    assert keys.shape == (3000, 32) and test.shape == (40, 32) and learn.shape == (60, 32)
    assert ids.shape == scores.shape == (40, 20) and ids.dtype == np.int32
    exact = test @ keys.T
    np.testing.assert_array_equal(ids, np.argsort(-exact, axis=1, kind="stable")[:, :20])
    np.testing.assert_allclose(scores, -np.sort(-exact, axis=1)[:, :20], rtol=1e-6)
    # Learn and test queries lie ten times as far from the keys as the keys themselves.
    mean, inverse = keys.mean(axis=0), np.linalg.inv(np.cov(keys, rowvar=False))

    def distance(x):
        return np.median(np.sqrt(np.einsum("ij,jk,ik->i", x - mean, inverse, x - mean)))

    for queries in (test, learn):
        assert distance(queries) / distance(keys) == pytest.approx(10, rel=0.05)
    assert attributes["mahalanobis_ratio"] == pytest.approx(distance(test) / distance(keys), rel=1e-3)
    assert attributes["type"] == b"dense" and attributes["option_seed"] == 1


def test_synthetic_queries_scatter_their_keys(tmp_path):
    """The knob does what it says: hidden queries have best keys that lie far apart."""
    np, h5py = pytest.importorskip("numpy"), pytest.importorskip("h5py")

    def spread(hidden):
        path = tmp_path / f"h{hidden}"
        assert make_synthetic(path, "--hidden", str(hidden)).returncode == 0
        with h5py.File(path) as f:
            groups = f["train"][:][f["neighbors"][:]]  # [test, k, dim]
        return np.mean(np.linalg.norm(groups - groups.mean(axis=1, keepdims=True), axis=2))

    assert spread(0.9) > 1.1 * spread(0)  # 1.18 with these sizes and this seed


def test_synthetic_set_depends_on_options_only(tmp_path):
    pytest.importorskip("h5py")
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        assert make_synthetic(tmp_path / name, "--seed", seed).returncode == 0
    a, b, c = ((tmp_path / name).read_bytes() for name in "abc")
    assert a == b != c
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b", "c"]


def test_synthetic_set_refuses_impossible_sizes(tmp_path):
    pytest.importorskip("h5py")
    for options in (["-k", "3001"], ["--test", "0"], ["--clustered", "32"], ["--keys", "32"]):
        done = make_synthetic(tmp_path / "a", *options)
        assert done.returncode == 2 and "error: " in done.stderr
    assert not list(tmp_path.iterdir())
