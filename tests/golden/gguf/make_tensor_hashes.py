#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tensor_hashes.json: what PyPI gguf reads from the fixtures beside this script.

Needs: pip install gguf (0.19.0 made the committed file).
"""
import hashlib
import json
import pathlib

from gguf import GGUFReader

HERE = pathlib.Path(__file__).resolve().parent


def describe(path):
    reader = GGUFReader(path)
    return {
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "keys": [k for k in reader.fields if not k.startswith("GGUF.")],
        "tensors": [{"name": t.name, "type": int(t.tensor_type), "dims": [int(d) for d in t.shape],
                     "offset": int(t.data_offset),
                     "sha256": hashlib.sha256(t.data.tobytes()).hexdigest()}
                    for t in reader.tensors],
    }


models = {p.name: describe(p) for p in sorted(HERE.glob("*.gguf"))}
lines = []
for name, model in models.items():
    tensors = ",\n   ".join(json.dumps(t) for t in model.pop("tensors"))
    lines.append(f' {json.dumps(name)}: {json.dumps(model)[:-1]}, "tensors": [\n   {tensors}]}}')
(HERE / "tensor_hashes.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
