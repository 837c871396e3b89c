# SPDX-License-Identifier: Apache-2.0
"""llama.cpp (PyPI llama-cpp-python) on the same GGUF, tokens and threads as ra-bench: prefill of
`context - n` tokens, then n single-token steps. Appends one result record.

Weights are read, not mapped: decode is a little faster so.

LEVEL names the build ("" = all the CPU has) and goes into the record.

usage: llama_cpp_decode.py MODEL IDS CONTEXT N THREADS FLASH(0|1) LEVEL OUT.jsonl
"""
import datetime
import hashlib
import json
import pathlib
import statistics
import sys
import time

import llama_cpp


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as f:
        for block in iter(lambda: f.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def main(model, ids_file, context, n, threads, flash, level, out):
    context, n, threads, flash = int(context), int(n), int(threads), bool(int(flash))
    ids = [int(line) for line in pathlib.Path(ids_file).read_text().split()][:context]
    prompt = context - n
    llm = llama_cpp.Llama(model, n_ctx=context, n_threads=threads, n_threads_batch=threads, n_batch=512,
                          n_ubatch=512, flash_attn=flash, use_mmap=False, verbose=False)
    llm.eval(ids[:16])  # warm-up: pages of the weights, thread pool
    llm.reset()
    start = time.perf_counter()
    llm.eval(ids[:prompt])
    prefill_s = time.perf_counter() - start
    steps = []
    for token in ids[prompt:]:
        start = time.perf_counter()
        llm.eval([token])
        steps.append(1000 * (time.perf_counter() - start))
    system = llama_cpp.llama_print_system_info().decode().strip()
    cpu = next(line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name"))
    record = {
        "schema_version": 1, "tool": "llama.cpp", "tool_version": llama_cpp.__version__, "kind": "decode",
        "time_utc": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "run_id": "llama-cpp-python", "pair": None, "status": "ok", "status_detail": None,
        "provenance": {"cpu": cpu, "threads": threads, "isa": level or "native", "isa_features": system, "libs": {"llama_cpp_python": llama_cpp.__version__}},
        "config": {"model": pathlib.Path(model).stem, "model_sha256": sha256(model), "input_sha256": sha256(ids_file), "mode": "full", "context": context,
                   "n_decode": n, "threads": threads, "flash_attention": flash, "kv_dtype": "f16"},
        "metrics": {"decode_ms": statistics.median(steps), "decode_tok_s": 1000 / statistics.median(steps),
                    "prefill_ms": 1000 * prefill_s, "prefill_tok_s": prompt / prefill_s},
        "samples": {"decode_ms": [steps]},
    }
    with open(out, "a") as f:
        f.write(json.dumps(record) + "\n")
    m = record["metrics"]
    print(f"llama.cpp {level} flash={int(flash)} {context}: prefill {m['prefill_tok_s']:.1f} tok/s, decode {m['decode_tok_s']:.1f} tok/s")


if __name__ == "__main__":
    if len(sys.argv) != 9:
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
