#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tiny random GGUF models: every architecture and weight format, a few dozen kilobytes.

    make_tiny_gguf.py -o m.gguf --arch qwen2 --types '*=Q5_0,token_embd*=Q8_0' --seed 7
    make_tiny_gguf.py --fixtures tests/golden/gguf     # rewrites the committed ones

The bytes depend on the options alone (SHAKE-128 of seed and tensor name), not on the machine or on
library versions; only the standard library is used. Quantised tensors are random blocks whose
scales are chosen so that a weight matrix keeps the variance of its input, which covers every bit
pattern of a format better than rounding a smooth tensor would. The vocabulary works: 256 byte
tokens, merges learnt from a short text, control tokens, unused padding, as byte-level BPE or in the
way of SentencePiece, as the architecture has it.
"""
import argparse
import fnmatch
import hashlib
import math
import pathlib
import struct
import sys
from collections import Counter

# ---- formats ------------------------------------------------------------------------------------
# name: (GGUF id, weights per block, bytes per block)
FORMATS = {
    "F32": (0, 1, 4), "F16": (1, 1, 2), "BF16": (30, 1, 2),
    "Q4_0": (2, 32, 18), "Q4_1": (3, 32, 20), "Q5_0": (6, 32, 22), "Q5_1": (7, 32, 24),
    "Q8_0": (8, 32, 34),
    "Q2_K": (10, 256, 84), "Q3_K": (11, 256, 110), "Q4_K": (12, 256, 144), "Q5_K": (13, 256, 176),
    "Q6_K": (14, 256, 210),
}
# Where the f16 scale d lies in a block, the standard deviation of a weight when d = 1 and every
# other bit is uniform, and for formats with a minimum its offset and its ratio to d (which makes
# the mean zero).
BLOCK_SCALES = {
    "Q4_0": (0, 4.61, None, 0), "Q4_1": (0, 4.61, 2, -7.5),
    "Q5_0": (0, 9.23, None, 0), "Q5_1": (0, 9.23, 2, -15.5), "Q8_0": (0, 73.9, None, 0),
    "Q2_K": (80, 13.9, 82, 1.5), "Q3_K": (108, 43.3, None, 0), "Q4_K": (0, 258.0, 2, 7.5),
    "Q5_K": (0, 526.0, 2, 15.5), "Q6_K": (208, 1366.0, None, 0),
}

# ---- architectures ------------------------------------------------------------------------------
# What an architecture adds to the common block; `pre` is its default pre-tokenizer, "default" means
# a SentencePiece vocabulary.
ARCHITECTURES = {
    "llama": {"pre": "smollm", "rope_base": 100000.0, "adds": ()},
    "qwen2": {"pre": "qwen2", "rope_base": 1000000.0, "adds": ("qkv_bias",)},
    "qwen3": {"pre": "qwen2", "rope_base": 1000000.0, "adds": ("qk_norm",)},
    "gemma3": {"pre": "default", "rope_base": 1000000.0, "adds": ("qk_norm", "post_norm")},
    "phi3": {"pre": "default", "rope_base": 10000.0, "adds": ("fused_weights",)},
}

FIXTURES = {
    "llama-f32": ["--embd", "32", "--head-dim", "8", "--ffn", "48", "--vocab", "288", "--untied"],
    "qwen2-f32": ["--arch", "qwen2", "--embd", "32", "--head-dim", "8", "--ffn", "64", "--vocab",
                  "288"],
    "llama-q4_1-q8_0": ["--types", "*=Q4_1,token_embd*=Q8_0", "--pre", "llama-bpe"],
    "qwen2-q5_0": ["--arch", "qwen2", "--untied", "--types",
                   "*=Q5_0,output.weight=Q8_0,*attn_v.weight=Q8_0,blk.1.ffn_down*=Q5_1,"
                   "blk.1.attn_q*=Q4_0"],
    "llama-bf16-f16": ["--embd", "32", "--head-dim", "8", "--ffn", "64", "--vocab", "288",
                       "--untied", "--types", "*=BF16,blk.1.*=F16,output.weight=F16"],
    # One layer each, and heads (llama) or ffn (qwen2) kept narrow: K-quant rows are 256 at least.
    "llama-kquants": ["--layers", "1", "--embd", "256", "--ffn", "256", "--vocab", "288", "--types",
                      "*=Q2_K,*attn_q*=Q3_K,*attn_k*=Q5_K,*attn_v*=Q6_K,*ffn_up*=Q3_K,"
                      "*ffn_down*=Q4_K,*attn_output*=Q4_0"],
    "qwen2-kquants": ["--arch", "qwen2", "--layers", "1", "--embd", "256", "--head-dim", "64",
                      "--ffn", "32", "--vocab", "288", "--types",
                      "*=Q2_K,*attn_k*=Q5_K,*attn_v*=Q6_K,*attn_output*=Q3_K,*ffn_gate*=Q4_K,"
                      "*ffn_down*=Q5_1"],
    "llama-window": ["--embd", "32", "--head-dim", "8", "--ffn", "48", "--vocab", "288", "--window",
                     "4", "--types", "*=F16"],
    "qwen3-f16": ["--arch", "qwen3", "--embd", "32", "--head-dim", "12", "--ffn", "48", "--vocab",
                  "288", "--types", "*=F16"],
    # A round of five layers with a window and one without.
    "gemma3-f16": ["--arch", "gemma3", "--layers", "6", "--embd", "32", "--heads", "2",
                   "--kv-heads", "1", "--ffn", "48", "--vocab", "320", "--window", "4", "--types",
                   "*=F16"],
    "phi3-f16": ["--arch", "phi3", "--embd", "32", "--head-dim", "8", "--ffn", "48", "--vocab",
                 "320", "--untied", "--types", "*=F16"],
}

TEXT = ("the attention of one query sits on few keys and the rest of the keys hold almost nothing "
        "of it so a decoder that finds the few keys can leave the others where they are and still "
        "answer the question as if it had read them all over again in every step of the context ")


class Noise:
    """Uniform bytes named by (seed, name): the same on every machine and in every order."""

    def __init__(self, seed, name):
        self.key = f"{seed}/{name}".encode()

    def bytes(self, n, part=""):
        return hashlib.shake_128(self.key + b"/" + part.encode()).digest(n)

    def uniform(self, n, part=""):
        """n floats in (-1, 1), multiples of 2^-15 so that sums are exact in f32."""
        return [(v - 32767.5) / 32768 for v in struct.unpack(f"<{n}H", self.bytes(2 * n, part))]


def encode_floats(values, fmt):
    if fmt == "F32":
        return struct.pack(f"<{len(values)}f", *values)
    if fmt == "F16":
        return struct.pack(f"<{len(values)}e", *values)
    words = struct.unpack(f"<{len(values)}I", struct.pack(f"<{len(values)}f", *values))
    return struct.pack(f"<{len(values)}H", *(w >> 16 for w in words))  # BF16 by truncation


def random_tensor(noise, count, fmt, std):
    """`count` random weights with standard deviation `std`, encoded."""
    _, block, block_bytes = FORMATS[fmt]
    if fmt not in BLOCK_SCALES:
        spread = std * math.sqrt(3)
        return encode_floats([spread * u for u in noise.uniform(count)], fmt)
    d_at, unit_std, min_at, min_ratio = BLOCK_SCALES[fmt]
    blocks = count // block
    data = bytearray(noise.bytes(blocks * block_bytes))
    for i, u in enumerate(noise.uniform(blocks, "scale")):
        # Scales differ by up to three times between blocks, and half of them are negative.
        d = std / unit_std * (0.5 + abs(u)) * (1 if u > 0 else -1)
        struct.pack_into("<e", data, i * block_bytes + d_at, d)
        if min_at is not None:
            struct.pack_into("<e", data, i * block_bytes + min_at, d * min_ratio)
    return bytes(data)


# ---- vocabulary ---------------------------------------------------------------------------------
def byte_alphabet():
    """GPT-2's printable stand-in for each of the 256 bytes."""
    keep = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    spare = iter(range(0x100, 0x200))
    return [chr(b) if b in keep else chr(next(spare)) for b in range(256)]


def learn_merges(text, limit, space="\u0120"):
    """Plain BPE training: the most frequent pair first, ties by spelling."""
    words = Counter(text.replace(" ", " " + space).split(" "))
    words = {tuple(w): n for w, n in words.items() if w}
    merges = []
    while len(merges) < limit:
        pairs = Counter()
        for word, n in words.items():
            for pair in zip(word, word[1:]):
                pairs[pair] += n
        if not pairs:
            break
        best = min(pairs, key=lambda p: (-pairs[p], p))
        merges.append(best)
        joined = {}
        for word, n in words.items():
            out, i = [], 0
            while i < len(word):
                if word[i:i + 2] == best:
                    out.append(word[i] + word[i + 1])
                    i += 2
                else:
                    out.append(word[i])
                    i += 1
            joined[tuple(out)] = joined.get(tuple(out), 0) + n
        words = joined
    return merges


def vocabulary(size, control_first):
    """(tokens, token types, merges); types: 1 normal, 3 control, 5 unused."""
    control = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    if size < 256 + len(control):
        sys.exit(f"make_tiny_gguf: --vocab {size}: at least {256 + len(control)} are needed")
    merges = learn_merges(TEXT, size - 256 - len(control))
    normal = byte_alphabet() + ["".join(m) for m in merges]
    tokens = control + normal if control_first else normal + control
    types = [3 if t in control else 1 for t in tokens]
    while len(tokens) < size:
        tokens.append(f"[PAD{len(tokens)}]")
        types.append(5)
    return tokens, types, [" ".join(m) for m in merges]


def spm_vocabulary(size):
    """(tokens, token types, scores); types: 1 normal, 2 unknown, 3 control, 4 user, 6 byte."""
    space = "\u2581"
    head = [("<pad>", 3), ("<eos>", 3), ("<bos>", 3), ("<unk>", 2), ("<start_of_turn>", 3),
            ("\n\n", 4), ("  ", 4)] + [(f"<0x{b:02X}>", 6) for b in range(256)]
    letters = sorted(set(TEXT.replace(" ", space)))
    if size < len(head) + len(letters):
        sys.exit(f"make_tiny_gguf: --vocab {size}: at least {len(head) + len(letters)} are needed")
    # A piece made by two merges is one token, with the score of the first.
    pieces = list(dict.fromkeys("".join(m) for m in learn_merges(TEXT, size, space)))
    pieces = pieces[:size - len(head) - len(letters)]
    normal = pieces + letters
    unused = [f"[PAD{i}]" for i in range(len(head) + len(normal), size)]
    tokens = [t for t, _ in head] + normal + unused
    types = [k for _, k in head] + [1] * len(normal) + [5] * len(unused)
    scores = [0.0] * len(head) + [-float(i) for i in range(len(normal) + len(unused))]
    return tokens, types, scores


# ---- file ---------------------------------------------------------------------------------------
class U32(int):
    pass


def encode_string(text):
    raw = text.encode()
    return struct.pack("<Q", len(raw)) + raw


def encode_value(value):
    if isinstance(value, bool):
        return struct.pack("<IB", 7, value)
    if isinstance(value, U32):
        return struct.pack("<II", 4, value)
    if isinstance(value, float):
        return struct.pack("<If", 6, value)
    if isinstance(value, str):
        return struct.pack("<I", 8) + encode_string(value)
    if isinstance(value[0], str):
        return struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(encode_string, value))
    if isinstance(value[0], float):
        return struct.pack(f"<IIQ{len(value)}f", 9, 6, len(value), *value)
    return struct.pack(f"<IIQ{len(value)}i", 9, 5, len(value), *value)


def write_gguf(path, version, alignment, metadata, tensors):
    """`tensors`: (name, dims with the contiguous one first, format, bytes)."""
    head = bytearray(struct.pack("<4sIQQ", b"GGUF", version, len(tensors), len(metadata)))
    for key, value in metadata.items():
        head += encode_string(key) + encode_value(value)
    offset = 0
    for name, dims, fmt, data in tensors:
        head += encode_string(name) + struct.pack(f"<I{len(dims)}Q", len(dims), *dims)
        head += struct.pack("<IQ", FORMATS[fmt][0], offset)
        offset += -(-len(data) // alignment) * alignment
    head += bytes(-len(head) % alignment)
    for *_, data in tensors:
        head += data + bytes(-len(data) % alignment)
    pathlib.Path(path).write_bytes(head)


def model_tensors(o, arch):
    """(name, dims, standard deviation, mean) in the order of real files."""
    q_dim, kv_dim = o.heads * o.head_dim, o.kv_heads * o.head_dim
    # Output rows give logits of deviation 2; tied embeddings share that scale.
    output_std = 2 / math.sqrt(o.embd)
    yield "token_embd.weight", (o.embd, o.vocab), 1.0 if o.untied else output_std, 0.0
    for layer in range(o.layers):
        def matrix(name, n_in, n_out, gain=1.0):
            return f"blk.{layer}.{name}.weight", (n_in, n_out), gain / math.sqrt(n_in), 0.0

        def vector(name, n, std, mean):
            return f"blk.{layer}.{name}", (n,), std, mean

        yield vector("attn_norm.weight", o.embd, 0.2, 1.0)
        # A gain above one spreads the attention logits, so that softmax is not nearly uniform.
        if "fused_weights" in arch["adds"]:
            yield matrix("attn_qkv", o.embd, q_dim + 2 * kv_dim, 1.5)
        else:
            yield matrix("attn_q", o.embd, q_dim, 1.5)
            yield matrix("attn_k", o.embd, kv_dim, 1.5)
            yield matrix("attn_v", o.embd, kv_dim)
        if "qkv_bias" in arch["adds"]:
            yield vector("attn_q.bias", q_dim, 0.5, 0.0)
            yield vector("attn_k.bias", kv_dim, 0.5, 0.0)
            yield vector("attn_v.bias", kv_dim, 0.2, 0.0)
        if "qk_norm" in arch["adds"]:
            yield vector("attn_q_norm.weight", o.head_dim, 0.2, 1.0)
            yield vector("attn_k_norm.weight", o.head_dim, 0.2, 1.0)
        yield matrix("attn_output", q_dim, o.embd)
        yield vector("ffn_norm.weight", o.embd, 0.2, 1.0)
        if "fused_weights" in arch["adds"]:
            yield matrix("ffn_up", o.embd, 2 * o.ffn)
        else:
            yield matrix("ffn_gate", o.embd, o.ffn)
            yield matrix("ffn_up", o.embd, o.ffn)
        yield matrix("ffn_down", o.ffn, o.embd)
        if "post_norm" in arch["adds"]:
            yield vector("post_attention_norm.weight", o.embd, 0.2, 1.0)
            yield vector("post_ffw_norm.weight", o.embd, 0.2, 1.0)
    yield "output_norm.weight", (o.embd,), 0.2, 1.0
    if o.untied:
        yield "output.weight", (o.embd, o.vocab), output_std, 0.0
    if o.rope_freqs:
        yield "rope_freqs.weight", (o.head_dim // 2,), 1.5, 4.0


def pick_format(name, dims, rules):
    fmt = "F32"
    for pattern, candidate in rules if len(dims) > 1 else []:
        if fnmatch.fnmatchcase(name, pattern):
            fmt = candidate
    if dims[0] % FORMATS[fmt][1]:
        sys.exit(f"make_tiny_gguf: {name}: rows of {dims[0]} are not whole {fmt} blocks")
    return fmt


def parse_rules(text):
    rules = [item.partition("=")[::2] for item in text.split(",")] if text else []
    for pattern, fmt in rules:
        if fmt not in FORMATS:
            sys.exit(f"make_tiny_gguf: --types {pattern}={fmt}: one of {', '.join(FORMATS)}")
    return rules


def tokenizer_metadata(o, arch):
    pre = o.pre or arch["pre"]
    if pre == "default":
        tokens, types, scores = spm_vocabulary(o.vocab)
        meta = {"model": "llama", "pre": pre, "tokens": tokens, "scores": scores,
                "token_type": types, "bos_token_id": U32(tokens.index("<bos>")),
                "eos_token_id": U32(tokens.index("<eos>")),
                "unknown_token_id": U32(tokens.index("<unk>")),
                "padding_token_id": U32(tokens.index("<pad>")), "add_bos_token": True,
                "add_space_prefix": o.arch != "gemma3"}
    else:
        tokens, types, merges = vocabulary(o.vocab, control_first=o.arch == "llama")
        bos = tokens.index("<|endoftext|>")
        meta = {"model": "gpt2", "pre": pre, "tokens": tokens, "token_type": types,
                "merges": merges or ["t h"], "bos_token_id": U32(bos),
                "eos_token_id": U32(tokens.index("<|im_end|>")), "padding_token_id": U32(bos),
                "add_bos_token": False, "add_space_prefix": False}
    return {f"tokenizer.ggml.{key}": value for key, value in meta.items()}


def metadata_of(o, arch):
    a = o.arch
    meta = {
        "general.architecture": a, "general.type": "model",
        "general.name": o.name or f"tiny random {a}", "general.license": "apache-2.0",
        f"{a}.block_count": U32(o.layers), f"{a}.context_length": U32(o.context),
        f"{a}.embedding_length": U32(o.embd), f"{a}.feed_forward_length": U32(o.ffn),
        f"{a}.attention.head_count": U32(o.heads), f"{a}.attention.head_count_kv": U32(o.kv_heads),
        f"{a}.rope.freq_base": float(o.rope_base or arch["rope_base"]),
        f"{a}.attention.layer_norm_rms_epsilon": 1e-5, f"{a}.vocab_size": U32(o.vocab),
        f"{a}.rope.dimension_count": U32(o.head_dim),
    }
    if o.head_dim * o.heads != o.embd:
        meta[f"{a}.attention.key_length"] = meta[f"{a}.attention.value_length"] = U32(o.head_dim)
    if o.window:
        meta[f"{a}.attention.sliding_window"] = U32(o.window)
    if o.alignment != 32:
        meta["general.alignment"] = U32(o.alignment)
    return meta | tokenizer_metadata(o, arch) | {"general.quantization_version": U32(2)}


def build(o):
    arch = ARCHITECTURES[o.arch]
    rules = parse_rules(o.types)
    tensors = []
    for name, dims, std, mean in model_tensors(o, arch):
        noise, count = Noise(o.seed, name), math.prod(dims)
        if len(dims) == 1:
            spread = std * math.sqrt(3)
            data = encode_floats([mean + spread * u for u in noise.uniform(count)], "F32")
            tensors.append((name, dims, "F32", data))
        else:
            fmt = pick_format(name, dims, rules)
            tensors.append((name, dims, fmt, random_tensor(noise, count, fmt, std)))
    write_gguf(o.output, o.version, o.alignment, metadata_of(o, arch), tensors)


def parser():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("-o", "--output", metavar="FILE")
    p.add_argument("--fixtures", metavar="DIR", help="write all committed fixtures into DIR")
    p.add_argument("--arch", choices=ARCHITECTURES, default="llama")
    p.add_argument("--pre", help="pre-tokenizer (default: that of the architecture)")
    p.add_argument("--types", default="", metavar="PATTERN=TYPE,...",
                   help="weight format by tensor name, the last match counts; vectors stay F32")
    p.add_argument("--layers", type=int, default=2)
    p.add_argument("--embd", type=int, default=64)
    p.add_argument("--heads", type=int, default=4)
    p.add_argument("--kv-heads", type=int, default=2)
    p.add_argument("--head-dim", type=int, default=16)
    p.add_argument("--ffn", type=int, default=128)
    p.add_argument("--vocab", type=int, default=400)
    p.add_argument("--context", type=int, default=2048)
    p.add_argument("--rope-base", type=float)
    p.add_argument("--rope-freqs", action="store_true",
                   help="random rope_freqs.weight, as Llama 3 scales its frequencies")
    p.add_argument("--window", type=int, help="attention.sliding_window")
    p.add_argument("--untied", action="store_true", help="separate output.weight")
    p.add_argument("--version", type=int, choices=(2, 3), default=3)
    p.add_argument("--alignment", type=int, default=32)
    p.add_argument("--name", help="general.name")
    p.add_argument("--seed", type=int, default=1)
    return p


def main():
    p = parser()
    options = p.parse_args()
    if options.fixtures:
        for name, arguments in FIXTURES.items():
            out = pathlib.Path(options.fixtures) / f"{name}.gguf"
            build(p.parse_args([*arguments, "-o", str(out)]))
            print(out)
    elif options.output:
        build(options)
    else:
        p.error("-o FILE or --fixtures DIR")


if __name__ == "__main__":
    main()
