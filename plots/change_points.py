# SPDX-License-Identifier: Apache-2.0
"""Where a series of measurements changed its level for good (binary segmentation with a permutation test)."""
import numpy as np

SHORTEST = 3  # values on either side of a change
PERMUTATIONS = 2000


def best_split(x):
    """(gain, index of the first value of the new level); the gain is that of two means over one."""
    n = len(x)
    left = np.arange(SHORTEST, n - SHORTEST + 1)
    sums = np.cumsum(x)
    gain = (sums[left - 1] / left - (sums[-1] - sums[left - 1]) / (n - left)) ** 2 * left * (n - left) / n
    at = int(np.argmax(gain))
    return gain[at], int(left[at])


def change_points(values, least, alpha=0.01, seed=1):
    """Indices of the first values of new levels, ascending. `least`: smaller steps of the median are not reported.
    Values must be independent of each other: measurements against one base, not against the one before."""
    values = np.asarray(values, dtype=float)
    rng = np.random.RandomState(seed)
    found = []

    def search(first, last):
        x = values[first:last]
        if len(x) < 2 * SHORTEST or np.ptp(x) == 0:
            return
        gain, at = best_split(x)
        larger = sum(best_split(rng.permutation(x))[0] >= gain for _ in range(PERMUTATIONS))
        if (larger + 1) / (PERMUTATIONS + 1) > alpha:
            return
        if abs(np.median(x[at:]) - np.median(x[:at])) >= least:
            found.append(first + at)
        search(first, first + at)
        search(first + at, last)

    search(0, len(values))
    return sorted(found)
