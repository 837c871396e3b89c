#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes NAME.ref for a real GGUF model and the first tokens of a text: the token ids, the NLL of
each next token and post-RoPE Q, K, V at a few positions (all layers, all heads), as `transformers`
computes them in f32. Needs torch, transformers, gguf and, as tokenizers, llama-cpp-python (byte-level
BPE) or sentencepiece from PyPI, and about 6 GB of memory for a model of half a billion weights.

    make_reference.py MODEL.gguf -f TEXT [TEXT...] -o tests/golden/parity/NAME.ref

The committed ones come from Debian's debian-handbook 11.20220922, by the lines in README.md.
"""
import argparse
import html.parser
import pathlib
import re
import sys

import gguf
import numpy as np
import torch

import reference

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests/golden/tokenizer"))


class Text(html.parser.HTMLParser):
    """The text inside <body>, without scripts, one blank between pieces."""

    def __init__(self, source):
        super().__init__()
        self.pieces, self.hidden = [], 1
        self.feed(source)

    def handle_starttag(self, tag, attrs):
        self.hidden += (tag in ("script", "style")) - (tag == "body")

    def handle_endtag(self, tag):
        self.hidden -= (tag in ("script", "style")) - (tag == "body")

    def handle_data(self, data):
        if self.hidden <= 0:
            self.pieces.append(data)

    def text(self):
        return re.sub(r"\s+", " ", " ".join(self.pieces)).strip()


def read_text(path):
    source = pathlib.Path(path).read_text(encoding="utf-8")
    return Text(source).text() if path.endswith((".html", ".htm")) else source


def tokenize(path, text):
    fields = gguf.GGUFReader(path).fields
    key = lambda name: fields["tokenizer.ggml." + name].contents()
    if key("model") == "llama":
        from make_fixture import SentencePiece
        model = SentencePiece(key("tokens"), key("token_type"), key("scores"),
                              key("unknown_token_id"), key("add_space_prefix"))
        return [key("bos_token_id")] * key("add_bos_token") + model.encode(text).ids
    import llama_cpp
    model = llama_cpp.Llama(path, vocab_only=True, verbose=False)
    return model.tokenize(text.encode(), add_bos=False, special=False)


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("model")
    p.add_argument("-f", "--text", nargs="+", required=True)
    p.add_argument("-n", "--tokens", type=int, default=1024)
    p.add_argument("--positions", type=int, nargs="+", default=[0, 1, 511, 1023],
                   help="where Q, K and V are kept")
    p.add_argument("-o", "--output", required=True)
    o = p.parse_args()

    text = "\n\n".join(map(read_text, o.text))
    ids = np.array(tokenize(o.model, text), np.int32)
    if len(ids) < o.tokens:
        p.error(f"the text has only {len(ids)} tokens")
    ids = ids[:o.tokens]

    torch.set_num_threads(2)
    model = reference.Reference(o.model)
    logits, q, k, v = model.run(ids)
    arrays = {"ids": ids, "nll": reference.nll(logits, ids).astype(np.float32),
              "top1": logits.argmax(axis=1).astype(np.int32),
              "positions": np.array(o.positions, np.int32)}
    # f16 keeps the cosine to about 1e-7.
    for name, x in (("q", q), ("k", k), ("v", v)):
        arrays[name] = x[:, o.positions].astype(np.float16)
        assert np.isfinite(arrays[name]).all()
    header = {"model": pathlib.Path(o.model).name, "model_sha256": reference.sha256(o.model),
              "nll_mean": float(arrays["nll"].mean()), **reference.versions()}
    reference.write(o.output, header, arrays)
    print("mean NLL", header["nll_mean"])


if __name__ == "__main__":
    main()
