#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes blocks.bin: random blocks of every weight format and what PyPI gguf decodes them to.

    pip install gguf numpy && python3 make_blocks.py

Record: u32 GGUF type id, u32 bytes, u32 weights, the blocks, the weights as f32; all little-endian.
The f16 scales of the blocks run through random, largest, subnormal, negative and zero values.
"""
import pathlib
import struct

import gguf
import numpy as np

F16_SCALES = {  # type: offsets of the f16 numbers in a block
    "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0],
    "Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208],
}
EXTREMES = [0x7BFF, 0x0001, 0xFBFF, 0x8000, 0x83FF]  # 65504, 6e-8, -65504, -0, -6.1e-5


def blocks_of(name, count, rng):
    block, size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[name]]
    raw = rng.integers(0, 256, (count, size), dtype=np.uint8)
    for i in range(count):
        for j, offset in enumerate(F16_SCALES[name]):
            bits = EXTREMES[(i + j) % len(EXTREMES)] if i > 0 else None
            value = np.float16(rng.normal() * 0.01) if bits is None else np.uint16(bits)
            raw[i, offset : offset + 2] = np.frombuffer(value.tobytes(), np.uint8)
    return raw, count * block


def floats_of(name, count, rng):
    values = (rng.normal(size=count) * np.exp(rng.normal(size=count) * 3)).astype(np.float32)
    values[:4] = [0.0, -0.0, 1e-7, -60000.0]
    return gguf.quants.quantize(values, gguf.GGMLQuantizationType[name]).view(np.uint8), count


def main():
    rng = np.random.default_rng(1)
    with open(pathlib.Path(__file__).with_name("blocks.bin"), "wb") as out:
        for name in ["F32", "F16", "BF16", *F16_SCALES]:
            if name in F16_SCALES:
                raw, weights = blocks_of(name, 3 if name.endswith("_K") else 6, rng)
            else:
                raw, weights = floats_of(name, 64, rng)
            kind = gguf.GGMLQuantizationType[name]
            with np.errstate(all="ignore"):
                decoded = gguf.quants.dequantize(raw.reshape(-1), kind)
            decoded = np.ascontiguousarray(decoded, dtype="<f4").reshape(-1)
            assert decoded.size == weights and np.isfinite(decoded).all(), name
            out.write(struct.pack("<III", kind.value, raw.size, weights))
            out.write(raw.tobytes() + decoded.tobytes())


if __name__ == "__main__":
    main()
