#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write the tokenizer fixtures: what PyPI `tokenizers` and `sentencepiece` make of a large set of
inputs.

The inputs are generated the same way here and in tests/tokenizer/fixture.cc, so that only hashes of
the ids are kept, one per block of inputs, beside a few hundred cases in full.

    inputs.json      what the random strings are drawn from
    RULE.json        a small vocabulary per pre-split rule, trained here, with its hashes and cases
    MODEL.RULE.json  hashes and cases for the vocabulary of a real model; the test reads the
                     vocabulary itself from the model file, if it is in the cache

Needs `tokenizers`, `sentencepiece` with `protobuf` and, for the real models, `gguf`:

    python tests/golden/tokenizer/make_fixture.py [--strings N] [--out DIR]
"""
import argparse
import hashlib
import io
import json
import os
import pathlib
import re
import struct
from importlib.metadata import version

import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, trainers
from tokenizers import pre_tokenizers as pre

HERE = pathlib.Path(__file__).resolve().parent
MASK = (1 << 64) - 1
GOLDEN_GAMMA = 0x9E3779B97F4A7C15
NORMAL, UNKNOWN, CONTROL, USER, UNUSED, BYTE = range(1, 7)
LAST_CODE_POINT = 0x30000
BLOCK = {"code_points": 4096, "in_text": 4096, "vocabulary": 8192, "random": 1000, "special": 1000}
RUN_LENGTH = 1_000_000

CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
# The pre_tokenizer, normalizer and ignore_merges of the published tokenizer.json files:
# HuggingFaceTB/SmolLM2-*, Qwen/Qwen2.5-*, meta-llama/Meta-Llama-3-*.
RULES = {
    "smollm": dict(split=[pre.Digits(individual_digits=True),
                          pre.ByteLevel(add_prefix_space=False, use_regex=True)]),
    "qwen2": dict(split=[pre.Split(Regex(CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}" + REST),
                                   "isolated"),
                         pre.ByteLevel(add_prefix_space=False, use_regex=False)],
                  nfc=True),
    "llama-bpe": dict(split=[pre.Split(Regex(CONTRACTIONS +
                                             r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}" + REST),
                                       "isolated"),
                             pre.ByteLevel(add_prefix_space=False, use_regex=False)],
                      ignore_merges=True),
}

WORDS = """the of and to in is that for it with as was on be by at from are this not or have an which
one you were all her she there would their we him been has when who will no more if out so up said
what its about than into them can only other time new some could these two may first then do any my
now such like our over man me even most made after also did many off before must well back through
years where much your way down should because long each just state those people too mr how little
good world make very year still see own work men day get here old between both life being under
three never know same last another while us might great go come since against right came take used
attention retrieval vector index query key value cache token context kernel memory quantise decode
Überraschung façade naïve coöperate Ångström œuvre straße İstanbul ŁÓDŹ Привет мир Ελλάδα ψυχή
שלום עולם مرحبا بالعالم नमस्ते दुनिया ภาษาไทย 안녕하세요 세계 こんにちは 世界 カタカナ 你好 中文分词
don't I'LL we've it's He'd they're O'Neil rock'n'roll 'tis x86_64 C++20 3.14159 1e-5 0x7fff 10,000
README.md /usr/bin/env foo_bar(baz); if(x<y){return;} https://example.org/a?b=c#d user@example.org
<div> </p> &amp; "quoted" [1]: ~~~ ``` *** --- ... ?! => <<= ::""".split()
INPUTS = {
    "strings": 10_000,
    "words": WORDS,
    "spaces": [" ", " ", "  ", "\n", "\n\n", "\r\n", "\r", "\t", "\u00a0", "\u3000", "\u2028",
               "\u2009", "\u0085", "\x0b", "\x0c", "\u180e", "\u200b", "\ufeff", "    "],
    "contractions": ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "'S", "'T", "'RE", "'Ve", "'M",
                     "'lL", "'D", "'\u017f", "'l", "'r", "'v", "''", "'", "'\u212a", "\u2019s",
                     "'x", "'st", "'res", "'lls"],
    "punctuation": list("!\"#$%&()*+,-./:;<=>?@[\\]^_`{|}~") + ["\u2014", "\u2026", "\u00bf", "\u3001",
                                                                "\u20ac", "\u00ad", "\ufe0f"],
    "emoji": ["\U0001f600", "\U0001f44d\U0001f3fd", "\U0001f468\u200d\U0001f469\u200d\U0001f467",
              "\U0001f1e9\U0001f1ea", "\u2764\ufe0f", "1\ufe0f\u20e3", "\U0001f9d1\U0001f3ff\u200d"
              "\U0001f680", "\U0001fae8", "\U0001fac6"],
    # Marks of many combining classes; those from U+0898 on are younger than the NFC tables of
    # `tokenizers`. Bases that compose; Hangul, whose U+11A7 must not; singletons; exclusions.
    "marks": ["\u0301", "\u0327", "\u0300", "\u0308", "\u0323", "\u0345", "\u0334", "\u031b",
              "\u0304", "\u05bc", "\u064b", "\u093c", "\u3099", "\u0e38", "\u302a", "\u0344",
              "\u0340", "\u0f71", "\u0f72", "\U0001d165", "\U0001d16f", "\u0c55", "\u094d", "\u09be",
              "\u0898", "\u08cf", "\u1ac1", "\U00010f48", "\U00011939", "\U00011930", "\U0001e2ae",
              "\U00010efd", "\U0001e4ec", "\U00011f41"],
    "bases": ["a", "e", "U", "o", "q", "K", "\u0041", "\u00fc", "\u1e69", "\u03b1", "\u0915",
              "\u304b", "\u1100", "\u1161", "\u11a8", "\u11a7", "\uac00", "\uac01", "\u1175",
              "\u212b", "\u2126", "\uf900", "\U0002f800", "\u0958", "\ufb1d", "\u2adc", "\u1fef",
              "\u09c7", "\u0dd9", "\u1025", "\U00011099", "\U000110ba", "\U00011935", "\u226f", "<",
              "\u0ddd", "\U0001d15e", "\u1112", "\u11c2", "\u1176"],
    "ranges": [[0x20, 0x7e], [0xa0, 0xff], [0x100, 0x24f], [0x300, 0x36f], [0x370, 0x3ff],
               [0x400, 0x52f], [0x590, 0x5ff], [0x600, 0x6ff], [0x900, 0x97f], [0xe00, 0xe7f],
               [0x1100, 0x11ff], [0x2000, 0x206f], [0x2150, 0x218f], [0x2190, 0x22ff],
               [0x2460, 0x24ff], [0x3040, 0x30ff], [0x4e00, 0x9fff], [0xac00, 0xd7a3],
               [0xfe00, 0xfeff], [0x11d50, 0x11dff], [0x16fe0, 0x16fff], [0x1d400, 0x1d7ff],
               [0x1f300, 0x1f64f], [0x20000, 0x2a6df], [0x0, 0x1f], [0xff00, 0xffef]],
    "runs": ["a", " ", "\n", "=", "-", "0", "\u4e2d", "\u0301", "'", "\U0001f600", "\r\n", " \n",
             "ab", "\u00e9", "\t", "\u0437", "x ", "\u0308\u0323"],
    "specials": ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|im", "<|im_start", "<tool_call>",
                 "</tool_call>", "<tool", "<|", "|>", "<|im_end|", "<|endoftext|", "<repo_name>",
                 "<|fim_prefix|>", "[PAD151700]", "<0x0A>", "caf\u00e9<", "cafe\u0301<"],
    "long_runs": ["a", " ", "\n", "7", "\u4e2d", "\u0301", "'", "\U0001f600", "=", "\u0301\u0323"],
}


class Rng:
    """lib/core/rng.h"""

    def __init__(self, seed, a=0, b=0, c=0):
        self.key = self.mix(self.mix(self.mix(self.mix(seed) ^ a) ^ b) ^ c)
        self.counter = 0

    @staticmethod
    def mix(x):
        x = (x + GOLDEN_GAMMA) & MASK
        x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
        return x ^ (x >> 31)

    def below(self, n):
        self.counter += 1
        return (self.mix((self.key + GOLDEN_GAMMA * self.counter) & MASK) * n) >> 64

    def pick(self, items):
        return items[self.below(len(items))]


def code_point(c):
    return "\ufffd" if 0xD800 <= c < 0xE000 else chr(c)


def fragment(rng):
    def several(limit, draw):
        return "".join(draw() for _ in range(1 + rng.below(limit)))

    kind = rng.below(16)
    if kind <= 1:
        return rng.pick(INPUTS["words"])
    if kind == 2:
        return " " + rng.pick(INPUTS["words"])
    if kind == 3:
        return several(8, lambda: chr(97 + rng.below(26)) if rng.below(4) else chr(65 + rng.below(26)))
    if kind == 4:
        return several(6, lambda: chr(48 + rng.below(10)))
    if kind <= 6:
        return several(4, lambda: rng.pick(INPUTS["spaces"]))
    if kind == 7:
        return rng.pick(INPUTS["contractions"])
    if kind == 8:
        return several(3, lambda: rng.pick(INPUTS["punctuation"]))
    if kind == 9:
        first, last = rng.pick(INPUTS["ranges"])
        return several(6, lambda: code_point(first + rng.below(last - first + 1)))
    if kind == 10:
        return rng.pick(INPUTS["emoji"])
    if kind == 11:
        return rng.pick(INPUTS["bases"]) + several(4, lambda: rng.pick(INPUTS["marks"]))
    if kind == 12:
        return several(4, lambda: rng.pick(INPUTS["bases"]))
    if kind == 13:
        return several(3, lambda: code_point(rng.below(LAST_CODE_POINT)))
    if kind == 14:
        return rng.pick(INPUTS["runs"]) * (1 + rng.below(300 if rng.below(8) == 0 else 12))
    return rng.pick(INPUTS["specials"])


def random_string(i):
    rng = Rng(1, i)
    return "".join(fragment(rng) for _ in range(1 + rng.below(12)))


def byte_of():
    visible = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [b for b in range(256) if b not in visible]
    return {**{chr(b): b for b in visible}, **{chr(256 + i): b for i, b in enumerate(hidden)}}


BYTE_OF = byte_of()


def token_bytes(token, kind):
    if kind == NORMAL and all(c in BYTE_OF for c in token):
        return bytes(BYTE_OF[c] for c in token)
    return token.encode()


def build(rule, tokens, types, merges):
    """The tokenizer that the rule's tokenizer.json describes, over the vocabulary of a GGUF file."""
    config = RULES[rule]
    vocab = {t: i for i, (t, k) in enumerate(zip(tokens, types)) if k in (NORMAL, CONTROL, USER)}
    tokenizer = Tokenizer(models.BPE(vocab, [tuple(m.split(" ")) for m in merges],
                                     ignore_merges=config.get("ignore_merges", False)))
    if config.get("nfc"):
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre.Sequence(config["split"])
    tokenizer.decoder = decoders.ByteLevel()
    for token, kind in zip(tokens, types):
        if kind == CONTROL:
            tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False)])
        elif kind == USER:
            tokenizer.add_tokens([AddedToken(token, special=False, normalized=False)])
    assert all(tokenizer.token_to_id(t) == i for t, i in vocab.items())
    return tokenizer


SPACE = "\u2581"


class SentencePiece:
    """A SentencePiece model over the vocabulary of a GGUF file, used like a `Tokenizer`."""

    class Encoding:
        def __init__(self, ids):
            self.ids = ids

    def __init__(self, tokens, types, scores, unknown, add_space_prefix):
        self.encode_special_tokens = True
        self.ids = {t: i for i, t in enumerate(tokens)}
        self.control = {t for i, (t, k) in enumerate(zip(tokens, types)) if k in (CONTROL, UNKNOWN) or i == unknown}
        user = [t.replace(SPACE, " ") for t, k in zip(tokens, types) if k == USER]
        self.special = re.compile("|".join(map(re.escape, sorted([*self.control, *user], key=len, reverse=True))))

        def processor(prefix):
            model = sentencepiece_model_pb2.ModelProto()
            for i, (token, kind, score) in enumerate(zip(tokens, types, scores)):
                model.pieces.add(piece=token.replace(" ", SPACE), score=score,
                                 type=UNKNOWN if i == unknown else kind)
            model.trainer_spec.model_type = 2  # BPE
            model.trainer_spec.byte_fallback = BYTE in types
            model.normalizer_spec.name = "identity"
            model.normalizer_spec.add_dummy_prefix = prefix
            model.normalizer_spec.remove_extra_whitespaces = False
            return sentencepiece.SentencePieceProcessor(model_proto=model.SerializeToString())
        self.first, self.rest = processor(add_space_prefix), processor(False)

    def encode_batch(self, texts, add_special_tokens):
        if self.encode_special_tokens:  # control tokens are text
            return [self.Encoding(ids) for ids in self.first.encode(texts)]
        return [self.Encoding(self.with_control(text)) for text in texts]

    def encode(self, text):
        return self.encode_batch([text], False)[0]

    def with_control(self, text):
        """SentencePiece never reads control tokens: the text between them is its business."""
        ids, begin = [], 0
        for match in self.special.finditer(text):
            if match.group() not in self.control:
                continue
            ids += (self.rest if begin else self.first).encode(text[begin:match.start()])
            ids.append(self.ids[match.group()])
            begin = match.end()
        return ids + (self.rest if begin else self.first).encode(text[begin:])


def hash_of(encodings):
    h = hashlib.sha256()
    for ids in encodings:
        h.update(struct.pack(f"<{len(ids) + 1}i", len(ids), *ids))
    return h.hexdigest()[:16]


def hashes(tokenizer, raw, strings):
    """`raw`: the bytes of each token."""
    def encode(texts, special=False):
        tokenizer.encode_special_tokens = not special  # True: their spellings are plain text
        return [e.ids for e in tokenizer.encode_batch(texts, add_special_tokens=False)]

    def blocks(name, texts, special=False):
        size = BLOCK[name]
        return [hash_of(encode(texts[i:i + size], special)) for i in range(0, len(texts), size)]

    h = hashlib.sha256()
    for b in raw:
        h.update(struct.pack("<i", len(b)) + b)
    points = [chr(c) for c in range(LAST_CODE_POINT) if not 0xD800 <= c < 0xE000]
    texts = []
    for b in raw:
        try:
            texts.append(b.decode())
        except UnicodeDecodeError:
            texts.append("")
    random = [random_string(i) for i in range(strings)]
    out = {
        "token_bytes": h.hexdigest()[:16],
        "vocabulary": blocks("vocabulary", texts),
        "code_points": blocks("code_points", points),
        "in_text": blocks("in_text", [f" a{c}b 1{c} " for c in points]),
        "random": blocks("random", random),
        "special": blocks("special", random, special=True),
        "long_runs": [hash_of(encode([c * RUN_LENGTH])) for c in INPUTS["long_runs"]],
    }
    sample = [s for s in random[:400] if len(s) < 80][:120]
    tokenizer.encode_special_tokens = True
    out["cases"] = [[s, ids] for s, ids in zip(sample, encode(sample))]
    return out


def small_vocabulary(rule):
    """About 900 tokens. smollm lacks the bytes that SmolLM2 lacks; llama-bpe has tokens that no
    merge makes, which only ignore_merges can find."""
    config = RULES[rule]
    trained = Tokenizer(models.BPE())
    if config.get("nfc"):
        trained.normalizer = normalizers.NFC()
    trained.pre_tokenizer = pre.Sequence(config["split"])
    texts = [" ".join(WORDS[i:i + 7]) for i in range(len(WORDS))] * 40
    texts += [random_string(10**6 + i) for i in range(4000)]
    trained.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=900, initial_alphabet=sorted(pre.ByteLevel.alphabet()), show_progress=False))
    data = json.loads(trained.to_str())["model"]
    tokens = sorted(data["vocab"], key=data["vocab"].get)
    merges = [" ".join(m) for m in data["merges"]]
    if rule == "smollm":
        absent = {c for c, b in BYTE_OF.items()
                  if b in (0x04, 0x06, 0x13, 0x14, 0x16, 0x1D) or b in (0xC0, 0xC1) or b > 0xF0}
        tokens = [t for t in tokens if not absent & set(t)]
        merges = [m for m in merges if not absent & set(m)]
    if rule == "llama-bpe":
        # A merge whose parts can no longer be made stays and is merely idle.
        merges = [m for i, m in enumerate(merges) if i % 7 != 3]
    control = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|im"]
    user = ["<tool_call>", "</tool_call>", "<tool", "cafe\u0301<"]
    tokens = control + tokens + user
    types = [CONTROL] * len(control) + [NORMAL] * (len(tokens) - len(control + user)) + [USER] * len(user)
    return tokens, types, merges


def small_spm_vocabulary(byte_tokens):
    """About 900 pieces: control and user tokens, unused ones, and scores that many share."""
    texts = [" ".join(WORDS[i:i + 7]) for i in range(len(WORDS))] * 40
    texts += [random_string(10**6 + i).replace("\0", "") for i in range(4000)]
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts), model_writer=model, model_type="bpe", vocab_size=900,
        byte_fallback=byte_tokens, character_coverage=0.98, normalization_rule_name="identity",
        remove_extra_whitespaces=False, add_dummy_prefix=False, allow_whitespace_only_pieces=True,
        control_symbols=["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|im"],
        user_defined_symbols=["<tool_call>", "</tool_call>", "<tool", "cafe\u0301<", "\n\n",
                              SPACE * 3, "=" * 4], num_threads=1, minloglevel=2)
    pieces = sentencepiece_model_pb2.ModelProto.FromString(model.getvalue()).pieces
    tokens, types = [p.piece for p in pieces], [p.type for p in pieces]
    normal = [i for i, k in enumerate(types) if k == NORMAL]
    for i in normal[5:400:13]:
        types[i] = UNUSED
    return tokens, types, [float(int(p.score / 3)) for p in pieces]


def spm_token_bytes(token, kind):
    if kind == BYTE:
        return bytes([int(token[3:5], 16)])
    return (token.replace(SPACE, " ") if kind in (NORMAL, USER, UNUSED) else token).encode()


def spm_fixture(tokens, types, scores, unknown, add_space_prefix, strings):
    oracle = SentencePiece(tokens, types, scores, unknown, add_space_prefix)
    return {"oracle": "sentencepiece " + version("sentencepiece"), "pre": "default",
            **hashes(oracle, [spm_token_bytes(t, k) for t, k in zip(tokens, types)], strings)}


def real_vocabulary(path, *keys):
    import gguf
    fields = gguf.GGUFReader(path).fields
    return [fields["tokenizer.ggml." + k].contents() for k in keys]


def write(path, data):
    def compact(value):
        return json.dumps(value, separators=(",", ":"))

    def lines(key, value):
        if key == "cases":
            return "[\n" + ",\n".join(map(compact, value)) + "]"
        return compact(value)

    path.write_text("{" + ",\n".join(f'"{k}":{lines(k, v)}' for k, v in data.items()) + "}\n")
    print(path.name, path.stat().st_size, "bytes")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--strings", type=int, default=INPUTS["strings"])
    parser.add_argument("--out", type=pathlib.Path, default=HERE)
    cache = os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache"))
    cache = os.environ.get("RA_CACHE_DIR", os.path.join(cache, "retrieval-attention"))
    parser.add_argument("--models", type=pathlib.Path, default=pathlib.Path(cache, "models"))
    args = parser.parse_args()
    INPUTS["strings"] = args.strings
    write(args.out / "inputs.json", INPUTS)
    oracle = "tokenizers " + version("tokenizers")
    for rule in RULES:
        tokens, types, merges = small_vocabulary(rule)
        raw = [token_bytes(t, k) for t, k in zip(tokens, types)]
        made = hashes(build(rule, tokens, types, merges), raw, args.strings)
        write(args.out / f"{rule}.json", {"oracle": oracle, "pre": rule, "tokens": tokens,
                                          "types": types, "merges": merges, **made})
    # Llama 3's own vocabulary is not free to fetch: its rule is tried on Qwen's, which has the
    # same origin and size.
    for model, rule in [("smollm2", "smollm"), ("qwen", "qwen2"), ("qwen", "llama-bpe")]:
        file = args.models / f"{model}.gguf"
        if not file.exists():
            print(f"{file} is not there: {model}.{rule}.json left as it is")
            continue
        tokens, types, merges = real_vocabulary(file, "tokens", "token_type", "merges")
        raw = [token_bytes(t, k) for t, k in zip(tokens, types)]
        made = hashes(build(rule, tokens, types, merges), raw, args.strings)
        write(args.out / f"{model}.{rule}.json", {"oracle": oracle, "pre": rule, "model": model, **made})
    for name, byte_tokens, prefix in [("spm", True, False), ("spm-unknown", False, True)]:
        tokens, types, scores = small_spm_vocabulary(byte_tokens)
        unknown = types.index(UNKNOWN)
        made = spm_fixture(tokens, types, scores, unknown, prefix, args.strings)
        write(args.out / f"{name}.json", {"tokens": tokens, "types": types, "scores": scores,
                                          "unknown": unknown, "add_space_prefix": prefix, **made})
    file = args.models / "gemma3.gguf"
    if not file.exists():
        print(f"{file} is not there: gemma3.default.json left as it is")
        return
    keys = ("tokens", "token_type", "scores", "unknown_token_id", "add_space_prefix")
    write(args.out / "gemma3.default.json",
          {"model": "gemma3", **spm_fixture(*real_vocabulary(file, *keys), args.strings)})


if __name__ == "__main__":
    main()
