# SPDX-License-Identifier: Apache-2.0
"""How far full-attention prefill and decode are from what the machine can multiply and read, both
measured in the same runs; other programs' records of the same lengths beside them.

usage: roofline.py OUT RECORDS.jsonl ...     (records of `ra-bench decode --mode full`)
"""
import collections
import statistics
import sys

import style


def medians(rows, value):
    by_context = collections.defaultdict(list)
    for r in rows:
        by_context[r["config"]["context"]].append(value(r))
    points = sorted((c, statistics.median(v)) for c, v in by_context.items())
    return [c for c, _ in points], [v for _, v in points]


def main(out, paths):
    records = [r for r in style.read(paths, "decode")
               if r["config"]["mode"] == "full" and r["provenance"]["isa"] not in ("avx2", "avx512", "scalar")]
    models = list(dict.fromkeys(r["config"]["model_sha256"] for r in records))
    names = {r["config"]["model_sha256"]: r["config"]["model"] for r in records if "model" in r["config"]}
    figure, axes = style.plt.subplots(len(models), 2, figsize=(8.6, 3.2 * len(models)), squeeze=False)
    for row, model in zip(axes, models):
        of_model = [r for r in records if r["config"]["model_sha256"] == model]
        ours = [r for r in of_model if r["tool"] == "ra-bench"]
        prefill, decode = row
        # The limit of a prefill is its operations over the multiply peak, of a step its bytes over the bandwidth.
        prefill.plot(*medians(ours, lambda r: r["metrics"]["prefill_tok_s"] / r["metrics"]["prefill_peak_frac"]),
                     "--", color=style.BLACK, label="limit: multiply peak")
        decode.plot(*medians(ours, lambda r: r["metrics"]["decode_ms"] * r["metrics"]["bandwidth_frac"]), "--",
                    color=style.BLACK, label="limit: memory reads")
        for axis, field in ((prefill, "prefill_tok_s"), (decode, "decode_ms")):
            axis.plot(*medians(ours, lambda r: r["metrics"][field]), "o-", color=style.RED, label="ra-bench full")
            for flash, colour in ((False, style.SKY), (True, style.BLUE)):
                peers = [r for r in of_model if r["config"].get("flash_attention") is flash]
                if peers:
                    axis.plot(*medians(peers, lambda r: r["metrics"][field]), "s-", color=colour, markersize=4,
                              label=f"llama.cpp, flash attention {'on' if flash else 'off'}")
            axis.set(xscale="log", yscale="log", xlabel="context, tokens")
            axis.legend(fontsize=7.5)
        prefill.set(ylabel="prefill, tokens per second", title=names.get(model, ours[0]["config"]["architecture"]))
        decode.set(ylabel="decode, ms per token", title=names.get(model, ours[0]["config"]["architecture"]))
    figure.suptitle("Full attention against the machine's limits", fontsize=11.5)
    style.footer(figure, [r for r in records if r["tool"] == "ra-bench"])
    style.save(figure, out)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    main(sys.argv[1], sys.argv[2:])
