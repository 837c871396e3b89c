#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes NAME.ref for the tiny models of tests/golden/gguf: logits and post-RoPE Q, K, V of
`transformers` in f32, and a greedy continuation. Needs torch, transformers and gguf from PyPI.

    python3 tests/golden/model/make_golden.py [NAME...]
"""
import math
import pathlib
import sys

import numpy as np
import torch

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "experiments" / "parity"))
import reference  # noqa: E402

N_PROMPT, N_GREEDY = 10, 8
MIN_GAP = 0.2  # between the two best logits of a greedy step: rounding must not decide a golden
ORIGINAL_CONTEXT = 32
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": ORIGINAL_CONTEXT}
# name of the reference: (model, rope parameters in the terms of transformers)
CASES = {
    "llama-f32": ("llama-f32", None),
    "llama-bf16-f16": ("llama-bf16-f16", None),
    "llama-q4_1-q8_0": ("llama-q4_1-q8_0", None),
    "llama-kquants": ("llama-kquants", None),
    "qwen2-f32": ("qwen2-f32", None),
    "qwen2-q5_0": ("qwen2-q5_0", None),
    "qwen2-kquants": ("qwen2-kquants", None),
    "llama-f32.linear": ("llama-f32", {"rope_type": "linear", "factor": 4.0}),
    "llama-f32.llama3": ("llama-f32", LLAMA3),
    "qwen2-f32.yarn": ("qwen2-f32", {"rope_type": "yarn", "factor": 4.0,
                                     "original_max_position_embeddings": ORIGINAL_CONTEXT}),
    "llama-window": ("llama-window", None),
    "qwen3-f16": ("qwen3-f16", None),
    "gemma3-f16": ("gemma3-f16", None),
    "gemma3-f16.linear": ("gemma3-f16", {"rope_type": "linear", "factor": 8.0}),
    "phi3-f16": ("phi3-f16", None),
}


def greedy(model, ids):
    """(continuation, smallest gap between the best two logits)"""
    ids, gap = list(ids), math.inf
    for _ in range(N_GREEDY):
        logits = model.run(ids)[0][-1]
        first, second = np.sort(logits)[::-1][:2]
        gap = min(gap, first - second)
        ids.append(int(logits.argmax()))
    return ids[-N_GREEDY:], gap


def llama3_divisors(base, dims):
    """What the GGUF converter stores as rope_freqs.weight for these parameters."""
    low = ORIGINAL_CONTEXT / LLAMA3["low_freq_factor"]
    high = ORIGINAL_CONTEXT / LLAMA3["high_freq_factor"]
    divisors = []
    for i in range(0, dims, 2):
        wavelength = 2 * math.pi * base ** (i / dims)
        smooth = (ORIGINAL_CONTEXT / wavelength - LLAMA3["low_freq_factor"]) / (
            LLAMA3["high_freq_factor"] - LLAMA3["low_freq_factor"])
        divisors.append(1.0 if wavelength < high else LLAMA3["factor"] if wavelength > low
                        else 1 / ((1 - smooth) / LLAMA3["factor"] + smooth))
    return np.array(divisors, np.float32)


def main():
    torch.set_num_threads(2)
    for name in sys.argv[1:] or CASES:
        model_name, rope = CASES[name]
        path = HERE.parent / "gguf" / f"{model_name}.gguf"
        model = reference.Reference(path, rope)
        vocab = model.model.config.vocab_size
        for seed in range(1000):
            ids = np.random.default_rng(seed).integers(0, vocab, N_PROMPT).astype(np.int32)
            continuation, gap = greedy(model, ids)
            if gap >= MIN_GAP:
                break
        else:
            sys.exit(f"{name}: no prompt with a gap of {MIN_GAP}")
        logits, q, k, v = model.run(ids)
        arrays = {"ids": ids, "greedy": np.array(continuation, np.int32), "logits": logits,
                  "q": q, "k": k, "v": v}
        if rope is LLAMA3:
            base = model.model.config.rope_parameters["rope_theta"]
            arrays["rope_freqs"] = llama3_divisors(base, model.head_dim)
        header = {"model": path.name, "model_sha256": reference.sha256(path), "rope": rope,
                  "greedy_gap": float(gap), **reference.versions()}
        reference.write(HERE / f"{name}.ref", header, arrays)


if __name__ == "__main__":
    main()
