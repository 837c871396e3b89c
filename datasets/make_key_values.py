#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes a text of random keys and values that asks for some of them again, with the right answers.

    make_key_values.py --pairs 130 [--asked 12 --seed 1] -o kv.txt

The task is the key-value retrieval of InfiniteBench (Zhang et al., arXiv 2402.13718): a JSON object of random
identifiers. The keys that are asked for are drawn evenly from the whole object, none twice.
"""
import argparse
import random
import uuid


def key_values(pairs, asked, seed):
    rng = random.Random(seed)
    identifier = lambda: str(uuid.UUID(int=rng.getrandbits(128), version=4))
    data = [(identifier(), identifier()) for _ in range(pairs)]
    # One of each of `asked` equal stretches, in random order.
    questions = [data[rng.randrange(i * pairs // asked, (i + 1) * pairs // asked)] for i in range(asked)]
    rng.shuffle(questions)
    lines = ["Extract the value of each key that is asked for from the JSON object below.", "", "JSON data:", "{"]
    lines += [f' "{key}": "{value}"' + ("," if i < pairs - 1 else "") for i, (key, value) in enumerate(data)]
    lines += ["}", ""]
    lines += [f'Key: "{key}"\nThe value of this key is: "{value}"\n' for key, value in questions]
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--out", required=True)
    parser.add_argument("--pairs", type=int, required=True)
    parser.add_argument("--asked", type=int, default=12)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if not 1 <= options.asked <= options.pairs:
        parser.error("--asked: at least 1, at most as many as --pairs")
    with open(options.out, "w", encoding="utf-8") as out:
        out.write(key_values(options.pairs, options.asked, options.seed))


if __name__ == "__main__":
    main()
