# SPDX-License-Identifier: Apache-2.0
"""What the figures drawn from `ra-recall curve` records share: the points of each index over its effort."""
import argparse
import collections

import numpy as np


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


def by_head(records):
    """(layer, head) -> (share of keys scanned, recall) at one effort, means over seeds."""
    points = collections.defaultdict(list)
    for r in records:
        points[head_of(r)].append((r["metrics"]["scanned_frac"], r["metrics"]["recall_id"]))
    return {head: tuple(np.mean(rows, axis=0)) for head, rows in points.items()}


def head_curves(efforts):
    """(layer, head) -> [(share of keys scanned, recall)] over the efforts of an index, ascending."""
    out = collections.defaultdict(list)
    for records in efforts.values():
        for head, point in by_head(records).items():
            out[head].append(point)
    return {head: sorted(points) for head, points in out.items()}


def recall_at(points, scanned):
    """Recall at a share of keys scanned, between the points on a logarithmic scale."""
    x, y = np.array(points).T
    return np.interp(np.log(scanned), np.log(x), y)


def gains(base, other):
    """(layer, head) -> by how much the recall of `other` exceeds that of `base` at the same work, in the (geometric) middle
    of the shares of keys that both scan; heads without such a range, or of one only, are left out."""
    out, others = {}, head_curves(other)
    for head, points in head_curves(base).items():
        other_points = others.get(head)
        if other_points is None:
            continue
        low, high = max(points[0][0], other_points[0][0]), min(points[-1][0], other_points[-1][0])
        if low < high:
            middle = np.sqrt(low * high)
            out[head] = recall_at(other_points, middle) - recall_at(points, middle)
    return out
