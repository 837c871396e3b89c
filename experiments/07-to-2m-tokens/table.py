# SPDX-License-Identifier: Apache-2.0
"""Synthetic beside real keys at one length, and cost and quality by context, as Markdown.

usage: table.py REAL.jsonl SYNTHETIC.jsonl LONG.jsonl     (records of `ra-bench attention`)
"""
import json
import sys

import numpy as np


def records(path):
    found = [json.loads(line) for line in open(path)]
    return [r for r in found if r["kind"] == "attention" and r["status"] == "ok"]


def metric(found, name, mode, **config):
    """Mean over the records of a mode."""
    return np.mean([r["metrics"][name] for r in found
                    if r["config"]["mode"] == mode and all(r["config"][k] == v for k, v in config.items())])


def print_check(real, synthetic):
    print("| layer | keys | recall@k of retrieval | scanned % | mass of static set and exact top k % | rel. L2 of knn, retrieval | "
          "Mahalanobis² of queries |")
    print("|--:|---|--:|--:|--:|--:|--:|")
    for layer in sorted({r["config"]["layer"] for r in real}):
        for name, found in (("real", real), ("synthetic", synthetic)):
            def of(m, mode):
                return metric(found, m, mode, layer=layer)
            print(f"| {layer} | {name} | {of('recall_tie', 'retrieval'):.3f} | {100 * of('scanned_frac', 'retrieval'):.2f} | "
                  f"{100 * of('mass_all_frac', 'knn'):.1f} | {of('output_rel_l2', 'knn'):.3f}, "
                  f"{of('output_rel_l2', 'retrieval'):.3f} | {of('mahalanobis_sq_q_mean', 'knn'):.0f} |")


def print_contexts(found):
    print("| synthetic context | mode | layers | ms per token and layer | scanned % | recall@k | mass % | rel. L2 | build s a layer |")
    print("|--:|---|--:|--:|--:|--:|--:|--:|--:|")
    for context in sorted({r["config"]["context"] for r in found}):
        at = [r for r in found if r["config"]["context"] == context]
        for mode in dict.fromkeys(r["config"]["mode"] for r in at):
            def of(m):
                return metric(at, m, mode)
            layers = len([r for r in at if r["config"]["mode"] == mode])
            indexed = any(r["config"]["mode"] == mode and r["config"]["index"] for r in at)
            print(f"| {context:,} | {mode} | {layers} | {of('attention_ms'):.3f} | {100 * of('scanned_frac'):.2f} | "
                  f"{format(of('recall_tie'), '.3f') if indexed else ''} | {100 * of('mass_all_frac'):.1f} | "
                  f"{of('output_rel_l2'):.3f} | {of('build_ms') / 1000:.1f} |")


def main():
    if len(sys.argv) != 4:
        raise SystemExit(__doc__)
    real, synthetic, long = map(records, sys.argv[1:])
    print_check(real, synthetic)
    print()
    print_contexts(long)


if __name__ == "__main__":
    main()
