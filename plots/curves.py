# SPDX-License-Identifier: Apache-2.0
"""What the figures drawn from `ra-recall curve` records share: the points of each index over its effort."""
import argparse
import collections


def arguments(description):
    """OUT RECORDS... --target --index of a figure that draws one effort of each index."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("records", nargs="+")
    parser.add_argument("--target", type=float, default=0.95)
    parser.add_argument("--index", action="append", help="index texts to draw; default: all but flat")
    return parser.parse_args()


def by_index(records, query_set="prompt"):
    """index text -> search text -> records, one per head, of queries that find keys."""
    out = collections.defaultdict(lambda: collections.defaultdict(list))
    for r in records:
        c = r["config"]
        if c["direction"] == "q_to_k" and c["query_set"] == query_set:
            out[c["index"]][c["search"]].append(r)
    return out


def mean(records, metric):
    values = [r["metrics"][metric] for r in records if r["metrics"].get(metric) is not None]
    return sum(values) / len(values)


def effort_at(efforts, target):
    """The search text of least work whose mean recall reaches `target`; of the best recall if none does."""
    reached = [s for s, rs in efforts.items() if mean(rs, "recall_id") >= target]
    if reached:
        return min(reached, key=lambda s: mean(efforts[s], "scanned_frac"))
    return max(efforts, key=lambda s: mean(efforts[s], "recall_id"))


def head_of(record):
    return record["config"]["layer"], record["config"]["head"]
