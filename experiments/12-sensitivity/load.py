# SPDX-License-Identifier: Apache-2.0
"""Copies memory on one thread until it is killed, then says how fast: the neighbour that keeps the bus busy."""
import signal
import sys
import time

import numpy as np

BYTES = 256 << 20  # far more than the caches hold


def stop(*_):
    sys.exit(0)


signal.signal(signal.SIGTERM, stop)
source, target = np.ones(BYTES, np.uint8), np.zeros(BYTES, np.uint8)
copies, start = 0, time.time()
try:
    while True:
        np.copyto(target, source)
        copies += 1
finally:
    print(f"{2 * copies * BYTES / (time.time() - start) / 1e9:.1f} GB/s read and written")
