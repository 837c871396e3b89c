# SPDX-License-Identifier: Apache-2.0
"""Runs one of the programs, and holds a failure to the rules: the exit code of apps/README.md, one line on
stderr, nothing on stdout."""
import os
import pathlib
import signal
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("RA_BUILD", ROOT / "build/release")).resolve()


def as_from_a_terminal():
    """Before exec: signals that a background shell ignores act again, and the test, at a higher priority, sees
    the program before it ends."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    os.nice(19)


class Program:
    def __init__(self, name, threads=1):
        self.name = f"ra-{name}"
        self.path = BUILD / "apps" / name / self.name
        self.threads = ["-t", str(threads)]
        self.needed = pytest.mark.skipif(not self.path.exists(), reason=f"{self.path} is not built")

    def command(self, *arguments):
        return [self.path, *map(str, arguments), *self.threads]

    def run(self, *arguments, code=0, **options):
        done = subprocess.run(self.command(*arguments), capture_output=True, text=True, timeout=300,
                              errors="replace", **options)
        assert code is None or done.returncode == code, f"exit {done.returncode}\n{done.stderr}\n{done.stdout[-2000:]}"
        return done

    def fails(self, code, *arguments, say="", **options):
        """The line."""
        done = self.run(*arguments, code=code, **options)
        self.check_failure(done, say)
        return done.stderr.rstrip("\n")

    def check_failure(self, done, say=""):
        assert done.stdout == "", done.stdout
        assert done.stderr.endswith("\n") and done.stderr.count("\n") == 1, done.stderr
        # "PROGRAM: error: WHAT: FILE: WHERE: WHY"
        assert done.stderr.startswith(f"{self.name}: error: ") and done.stderr.count(": ") >= 5, done.stderr
        assert say in done.stderr, done.stderr


def tree(folder):
    """Path and contents of everything below: equal before and after a run that must leave nothing."""
    return {p.relative_to(folder): p.read_bytes() if p.is_file() else None for p in sorted(folder.rglob("*"))}
