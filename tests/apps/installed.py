# SPDX-License-Identifier: Apache-2.0
"""The build, installed: what an installed tree holds beside the programs, and which builds can be installed."""
import re
import subprocess

import pytest

from program import BUILD, ROOT

PROGRAMS = ["ra-bench", "ra-dump", "ra-recall"]


def run(*command, **options):
    """Standard output of a command, which must succeed."""
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=580, **options)
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def cache(name):
    """A variable of the build's CMake cache, or None."""
    text = (BUILD / "CMakeCache.txt").read_text() if (BUILD / "CMakeCache.txt").exists() else ""
    found = re.search(rf"^{name}:\w+=(.*)$", text, re.M)
    return found and found.group(1)


def why_not():
    if not all((BUILD / "apps" / p.removeprefix("ra-") / p).exists() for p in PROGRAMS):
        return f"{BUILD} is not built"
    if cache("RA_SANITIZE"):
        return "a build with sanitizers is not one to install"
    if not (BUILD / "generated/share").exists():
        return f"{BUILD} is older than the install rules"
    return None


needed = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")


def described(share):
    """Files under share/ that the programs write about themselves."""
    return {share / path for p in PROGRAMS for path in (
        f"man/man1/{p}.1", f"bash-completion/completions/{p}", f"zsh/site-functions/_{p}",
        f"fish/vendor_completions.d/{p}.fish")}


def is_of_the_device(path):
    return path.name == "device_kv.h" or any(part.startswith("cuda") for part in path.parts)


def public_headers():
    """Paths as they are included; those of the device only where the build has one."""
    headers = {p.relative_to(ROOT) for top in ("kernels", "lib") for p in (ROOT / top).rglob("*.h")
               if p.parent != ROOT / "kernels/cpu"}
    return headers if cache("RA_CUDA") == "ON" else {p for p in headers if not is_of_the_device(p)}
