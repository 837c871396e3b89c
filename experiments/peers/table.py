# SPDX-License-Identifier: Apache-2.0
"""Medians over the rounds of decode.sh, beside the better llama.cpp setting and the machine's limits.
usage: table.py RECORDS.jsonl"""
import collections
import json
import statistics
import sys


def main(path):
    runs = collections.defaultdict(list)
    models = {}
    for line in open(path):
        r = json.loads(line)
        c = r["config"]
        models[c["model_sha256"]] = c.get("model") or models.get(c["model_sha256"])
        ours = r["tool"] == "ra-bench"
        level = r["provenance"]["isa"] if ours else r["provenance"]["isa"].replace("native", "amx")
        key = (c["model_sha256"], "avx2" if level == "avx2" else "native", c["context"], c["n_decode"])
        runs[key].append(("ra" if ours else f"llama{int(c['flash_attention'])}", r["metrics"]))

    def median(rows, who, field):
        values = [m[field] for name, m in rows if name == who and m.get(field) is not None]
        return statistics.median(values) if values else None

    print("| model | level | prompt | prefill tok/s: llama.cpp | ra | ratio | of peak | decode tok/s: llama.cpp | ra | ratio | of bandwidth |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for (model, level, context, n), rows in runs.items():
        cells = [models[model] or model[:8], level, f"{context - n:,}"]
        for field, limit in (("prefill_tok_s", "prefill_peak_frac"), ("decode_tok_s", "bandwidth_frac")):
            peer = max(median(rows, who, field) or 0 for who in ("llama0", "llama1"))
            mine = median(rows, "ra", field)
            cells += [f"{peer:.1f}", f"{mine:.1f}", f"{mine / peer:.2f}", f"{100 * median(rows, 'ra', limit):.0f} %"]
        print("| " + " | ".join(cells) + " |")
    print("\nllama.cpp: the better of flash attention on and off. Medians over the rounds.")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(sys.argv[1])
