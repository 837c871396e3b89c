# SPDX-License-Identifier: Apache-2.0
"""What the README promises about a dump, checked with h5py: hdf5_test.py PROGRAM writes one."""
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np


def string(value):
    assert isinstance(value, np.bytes_), type(value)  # fixed length
    return value.decode()


def check(path, dtype, parts):
    with h5py.File(path) as f:
        assert string(f.attrs["format"]) == "retrieval-attention-dump"
        assert f.attrs["format_version"] == 1 and f.attrs["complete"] == 1
        assert string(f.attrs["dtype"]) == dtype
        assert string(f.attrs["model_name"]) == ""
        assert json.loads(string(f.attrs["rope_scaling"]))["type"] == "none"
        kinds = {"seed": "<u8", "n_layers": "<i8", "rope_base": "<f8", "complete": "|u1"}
        for name, kind in kinds.items():
            assert f.attrs.get_id(name).dtype.str == kind, name
        heads, kv_heads, width, value_width = 4, 2, 8, 6
        tokens, ids = int(f.attrs["n_tokens"]), f["tokens/ids"]
        assert ids.dtype.str == "<i4" and ids.shape == (tokens,)
        assert sorted(f["layers"]) == ["00", "02", "03"]
        for g in f["layers"].values():
            positions = g["q_pos"][:]
            assert positions.dtype.str == "<i8" and (np.diff(positions) > 0).all()
            assert g["k"].shape == (kv_heads, tokens, width)
            assert g["v"].shape == (kv_heads, tokens, value_width)
            assert g["q"].shape == (heads, len(positions), width)
            for name in "kvq":
                d = g[name]
                assert d.dtype == {"f16": np.float16, "bf16": np.float32, "f32": np.float32}[dtype]
                assert d.id.get_type().get_size() == (4 if dtype == "f32" else 2)
                assert d.is_virtual == parts
                if not parts:
                    assert d.fletcher32 and d.chunks[0] == 1 and d.chunks[2] == d.shape[2]
                values = d[:].astype("f4")
                assert np.isfinite(values).all() and 3 < np.abs(values).max() <= 4
            assert g["q"].attrs["scale"] == 0.25 and g["q"].attrs["post_rope"] == 1
            assert (f["phase"][:] == (positions >= f.attrs["n_prefill"])).all()
        assert f["logits/nll"].shape == (tokens - 1,) and f["logits/last"].dtype == np.float32
        # the example of the README
        g = f["layers/02"]; h = 3; kv = h * g["k"].shape[0] // g["q"].shape[0]; p = int(g["q_pos"][-1])
        score = g["q"].attrs["scale"] * (g["k"][kv, :p+1].astype("f4") @ g["q"][h, -1].astype("f4"))
        assert score.shape == (tokens,) and np.isfinite(score).all()


def main(program):
    with tempfile.TemporaryDirectory() as folder:
        for dtype in ("f16", "bf16", "f32"):
            for parts in (False, True):
                path = Path(folder) / f"odd %name {dtype}{parts}.h5"
                subprocess.run([program, path, dtype, "parts" if parts else "single"], check=True)
                check(path, dtype, parts)
                if parts:  # a missing part must show, not read as plausible numbers
                    folder_of_parts = Path(f"{path}.parts")
                    victim = sorted(folder_of_parts.glob("*.h5"))[0]
                    victim.unlink()
                    with h5py.File(path) as f:
                        assert any(np.isnan(g["k"][:].astype("f4")).any() for g in f["layers"].values())
    print("ok")


if __name__ == "__main__":
    main(sys.argv[1])
