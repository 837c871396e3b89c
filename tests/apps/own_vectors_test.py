# SPDX-License-Identifier: Apache-2.0
"""What apps/recall/own-vectors.md shows runs as it stands there."""
import json
import os
import re
import subprocess
import sys

from program import ROOT, Program

PROGRAM = Program("recall")
pytestmark = PROGRAM.needed


def test_the_page(tmp_path):
    page = (ROOT / "apps/recall/own-vectors.md").read_text()
    (code,), (command,) = (re.findall(rf"```{kind}\n(.*?)```", page, re.S) for kind in ("python", "sh"))
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    path = {**os.environ, "PATH": f"{PROGRAM.path.parent}:{os.environ['PATH']}"}
    done = subprocess.run(["sh", "-c", command], cwd=tmp_path, env=path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    records = [json.loads(line) for line in (tmp_path / "curve.jsonl").read_text().splitlines()]
    recall = {r["config"]["search"]: r["metrics"]["recall_id"] for r in records if r["kind"] == "recall"}
    assert len(recall) == 4 and max(recall.values()) == 1 and min(recall.values()) > 0.3, recall
