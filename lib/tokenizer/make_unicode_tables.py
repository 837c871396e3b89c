#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write unicode_tables.cc: the character classes that the Hugging Face tokenizers see.

PyPI `tokenizers` mixes three Unicode versions: Oniguruma's for \\p{L}, \\p{N} and \\s, Rust's for
"is this a digit", and an old one for NFC. No library at hand has the same mix, so the classes are
read out of `tokenizers` itself, code point by code point. Run with a Python that has it:

    python lib/tokenizer/make_unicode_tables.py > lib/tokenizer/unicode_tables.cc
"""
import sys
import unicodedata
from importlib.metadata import version

from tokenizers import Regex, normalizers, pre_tokenizers

CODE_POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
MARKERS = "\u0334\u0327\u0301\u0345"  # combining classes 1, 202, 230, 240
NFC, NFD = normalizers.NFC().normalize_str, normalizers.NFD().normalize_str


def regex_class(pattern):
    text = "".join(map(chr, CODE_POINTS))
    kept = set()
    for piece, _ in pre_tokenizers.Split(Regex(pattern), "removed").pre_tokenize_str(text):
        kept.update(piece)
    return {c for c in CODE_POINTS if chr(c) not in kept}


def rust_digits():
    text = "".join("aa" + chr(c) for c in CODE_POINTS)
    kept = set()
    for piece, _ in pre_tokenizers.Digits(individual_digits=True).pre_tokenize_str(text):
        if len(piece) > 1:
            kept.update(piece)
    return {c for c in CODE_POINTS if chr(c) not in kept}


def is_reordered(c):
    """Has a combining class other than 0: some marker changes places with it."""
    for marker in MARKERS:
        for text in ("q" + chr(c) + marker, "q" + marker + chr(c)):
            if NFD(text) != text:
                return True
    return False


def canonical_pair(c):
    parts = unicodedata.decomposition(chr(c)).split()
    if len(parts) != 2 or parts[0].startswith("<"):
        return []
    return [int(p, 16) for p in parts]


def nfc_ranges():
    """Ranges that hold every code point NFC does anything with, and none that a later Unicode
    version could do anything with."""
    active = set()
    for c in CODE_POINTS:
        if NFD(chr(c)) != chr(c) or is_reordered(c):
            active.add(c)
        pair = canonical_pair(c)
        if pair and NFC("".join(map(chr, pair))) == chr(c):
            active.update(pair)
    active.update(range(0x1100, 0x1113))  # Hangul composes by arithmetic
    active.update(range(0x1161, 0x1176))
    active.update(range(0x11A8, 0x11C3))

    # What composition tables after the one in `tokenizers` added. And U+11A7, the place before the
    # first final consonant: it composes with nothing, but utf8proc 2.8 swallows it.
    later = {0x11A7}
    for c in CODE_POINTS:
        pair = canonical_pair(c)
        if pair:
            later.update([c, *pair])

    def harmless(c):
        return (not 0xD800 <= c < 0xE000 and unicodedata.category(chr(c)) != "Cn"
                and unicodedata.combining(chr(c)) == 0 and c not in later)

    ranges = []
    for c in sorted(active):
        if ranges and all(harmless(g) for g in range(ranges[-1][1] + 1, c)):
            ranges[-1][1] = c
        else:
            ranges.append([c, c])
    assert ranges[0][0] < 0x80
    ranges[0][0] = 0
    return ranges


def ranges_of(points):
    ranges = []
    for c in sorted(points):
        if ranges and ranges[-1][1] + 1 == c:
            ranges[-1][1] = c
        else:
            ranges.append([c, c])
    return ranges


def table(name, ranges):
    print(f"\nconst std::array<CodePointRange, {len(ranges)}> k{name}Data = {{{{")
    line = "   "
    for first, last in ranges:
        item = f" {{0x{first:x}, 0x{last:x}}},"
        if len(line) + len(item) > 100:
            print(line)
            line = "   "
        line += item
    print(line + "\n}};")


def main():
    letters, numbers = regex_class(r"\p{L}"), regex_class(r"\p{N}")
    digits = rust_digits()
    assert numbers <= digits
    spaces = {9, 10, 11, 12, 13, 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029,
              0x202F, 0x205F, 0x3000}
    assert regex_class(r"\s") == spaces, "the list in char_class.cc is no longer right"
    tables = {"Letters": ranges_of(letters), "Numbers": ranges_of(numbers),
              "LaterDigits": ranges_of(digits - numbers), "Normalized": nfc_ranges()}
    print("// SPDX-License-Identifier: Apache-2.0")
    print(f"// Written by make_unicode_tables.py from PyPI tokenizers {version('tokenizers')}.")
    print("// clang-format off")
    print('#include "lib/tokenizer/unicode_tables.h"\n')
    print("#include <array>\n\nnamespace ra::tokenizer {\nnamespace {")
    for name, ranges in tables.items():
        table(name, ranges)
    print("\n}  // namespace\n")
    for name in tables:
        print(f"std::span<const CodePointRange> unicode_{snake(name)}() {{ return k{name}Data; }}")
    print("\n}  // namespace ra::tokenizer")
    print({k: len(v) for k, v in tables.items()}, file=sys.stderr)


def snake(name):
    return "".join("_" + c.lower() if c.isupper() else c for c in name)[1:]


if __name__ == "__main__":
    main()
