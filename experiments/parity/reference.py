# SPDX-License-Identifier: Apache-2.0
"""A GGUF file as a `transformers` model in f32: weights dequantised by PyPI gguf, configuration
built by hand, so that the reference shares no code with this project and does not depend on which
files the library's own GGUF loader accepts."""
import hashlib
import json
import pathlib

import gguf
import numpy as np
import torch
import transformers
from transformers.models.gemma3 import modeling_gemma3
from transformers.models.llama import modeling_llama
from transformers.models.mistral import modeling_mistral
from transformers.models.phi3 import modeling_phi3
from transformers.models.qwen2 import modeling_qwen2
from transformers.models.qwen3 import modeling_qwen3

# GGUF tensor name -> transformers name, per layer and for the whole model.
LAYER_NAMES = {
    "attn_norm.weight": "input_layernorm.weight",
    "attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm",
    "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
    "attn_output.weight": "self_attn.o_proj.weight",
    "ffn_norm.weight": "post_attention_layernorm.weight",
    "ffn_gate.weight": "mlp.gate_proj.weight", "ffn_up.weight": "mlp.up_proj.weight",
    "ffn_down.weight": "mlp.down_proj.weight",
}
# What some families call otherwise, looked at first.
FAMILY_NAMES = {
    "gemma3": {"ffn_norm.weight": "pre_feedforward_layernorm.weight",
               "post_attention_norm.weight": "post_attention_layernorm.weight",
               "post_ffw_norm.weight": "post_feedforward_layernorm.weight"},
    "phi3": {"attn_qkv": "self_attn.qkv_proj", "ffn_up.weight": "mlp.gate_up_proj.weight"},
}
MODEL_NAMES = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight", "output.weight": "lm_head.weight",
}
ARCHITECTURES = {
    "llama": (transformers.LlamaConfig, transformers.LlamaForCausalLM, modeling_llama),
    "mistral": (transformers.MistralConfig, transformers.MistralForCausalLM, modeling_mistral),
    "qwen2": (transformers.Qwen2Config, transformers.Qwen2ForCausalLM, modeling_qwen2),
    "qwen3": (transformers.Qwen3Config, transformers.Qwen3ForCausalLM, modeling_qwen3),
    "gemma3": (transformers.Gemma3TextConfig, transformers.Gemma3ForCausalLM, modeling_gemma3),
    "phi3": (transformers.Phi3Config, transformers.Phi3ForCausalLM, modeling_phi3),
}


class Reference:
    """`rope` replaces transformers' rope_parameters beside the base, for example
    {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}."""

    def __init__(self, path, rope=None):
        reader = gguf.GGUFReader(path)
        fields = {name: field.contents() for name, field in reader.fields.items()
                  if not name.startswith("tokenizer.")}
        self.arch = fields["general.architecture"]
        key = lambda name, *default: fields.get(f"{self.arch}.{name}", *default)
        self.layers = key("block_count")
        self.heads = key("attention.head_count")
        self.kv_heads = key("attention.head_count_kv", self.heads)
        self.head_dim = key("attention.key_length", key("embedding_length") // self.heads)
        tensors = {t.name: t for t in reader.tensors}

        window = key("attention.sliding_window", None)
        # A llama file with a window is a Mistral: the same graph otherwise.
        family = "mistral" if self.arch == "llama" and window else self.arch
        config_class, model_class, self.module = ARCHITECTURES[family]
        rope_parameters = {"rope_type": "default",
                           "rope_theta": key("rope.freq_base", 10000.0), **(rope or {})}
        if self.arch == "gemma3":
            rope_parameters = {
                "full_attention": rope_parameters,
                "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0}}
        extra = {"sliding_window": window} if window else {}
        if self.arch == "gemma3":
            extra["query_pre_attn_scalar"] = self.head_dim
        config = config_class(
            vocab_size=int(tensors["token_embd.weight"].shape[1]),
            hidden_size=key("embedding_length"), intermediate_size=key("feed_forward_length"),
            num_hidden_layers=self.layers, num_attention_heads=self.heads,
            num_key_value_heads=self.kv_heads, head_dim=self.head_dim,
            max_position_embeddings=key("context_length"),
            rms_norm_eps=key("attention.layer_norm_rms_epsilon"),
            tie_word_embeddings="output.weight" not in tensors,
            rope_parameters=rope_parameters, pad_token_id=None, eos_token_id=None, **extra)
        self.model = model_class(config).to(torch.float32).eval()
        state = {self._name(name): torch.from_numpy(self._weights(t)) for name, t in tensors.items()}
        missing, unexpected = self.model.load_state_dict(state, strict=False)
        assert not unexpected and set(missing) <= {"lm_head.weight"}, (missing, unexpected)
        self.model.tie_weights()

    def _name(self, name):
        if name in MODEL_NAMES:
            return MODEL_NAMES[name]
        _, layer, part = name.split(".", 2)
        for ours, theirs in [*FAMILY_NAMES.get(self.arch, {}).items(), *LAYER_NAMES.items()]:
            if part.startswith(ours):
                return f"model.layers.{layer}.{theirs}{part[len(ours):]}"
        raise KeyError(name)

    def _weights(self, tensor):
        w = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        if self.arch == "llama" and tensor.name.endswith(("attn_q.weight", "attn_k.weight")):
            # The converter put the rotated pairs (i, i + R/2) side by side; put them back.
            pairs = w.reshape(-1, self.head_dim // 2, 2, w.shape[-1])
            w = np.ascontiguousarray(pairs.swapaxes(1, 2)).reshape(w.shape)
        if self.arch == "gemma3" and tensor.name.endswith("norm.weight"):
            w = w - 1  # transformers adds it again
        return np.array(w)

    def _in_file_order(self, x):
        """[heads, tokens, head_dim] as the model has it -> [tokens, heads * head_dim] as the file."""
        if self.arch == "llama":
            x = np.stack(np.split(x, 2, axis=-1), axis=-1).reshape(x.shape)
        return x.transpose(1, 0, 2).reshape(x.shape[1], -1)

    def run(self, ids):
        """(logits [tokens, vocab], q, k, v) with q, k after RoPE, each [layers, tokens, width]."""
        return self.run_at(ids, slice(None), 0)

    @torch.no_grad()
    def run_at(self, ids, rows, last):
        """The same with q, k, v of some rows and the logits of the last tokens only (0 = of all): a
        long text's would not fit the memory."""
        q, k, v = [], [], []
        rotate = self.module.apply_rotary_pos_emb

        def recording(*args, **kwargs):
            out = rotate(*args, **kwargs)
            q.append(self._in_file_order(out[0][0][:, rows].numpy()))
            k.append(self._in_file_order(out[1][0][:, rows].numpy()))
            return out

        value_dim = self.kv_heads * self.head_dim  # the last columns of a fused projection
        hooks = [getattr(layer.self_attn, "qkv_proj" if self.arch == "phi3" else "v_proj")
                 .register_forward_hook(lambda _m, _i, out: v.append(out[0, rows, -value_dim:].numpy().copy()))
                 for layer in self.model.model.layers]
        self.module.apply_rotary_pos_emb = recording
        try:
            logits = self.model(torch.tensor([list(ids)]), use_cache=False, logits_to_keep=last).logits[0].numpy()
        finally:
            self.module.apply_rotary_pos_emb = rotate
            for hook in hooks:
                hook.remove()
        assert len(q) == len(k) == len(v) == self.layers
        return logits, np.stack(q), np.stack(k), np.stack(v)


def nll(logits, ids):
    """-ln p(ids[t + 1] | ids[0..t]) for each t, in f64; both begin at the same token."""
    out = np.empty(len(ids) - 1)
    for t in range(len(out)):  # a row at a time: all of a large vocabulary's would take gigabytes
        x = logits[t].astype(np.float64)
        out[t] = np.log(np.exp(x - x.max()).sum()) + x.max() - x[ids[t + 1]]
    return out


def versions():
    return {"transformers": transformers.__version__, "torch": torch.__version__,
            "gguf": __import__("importlib.metadata").metadata.version("gguf")}


def sha256(path):
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def write(path, header, arrays):
    """One line of JSON, then the arrays in order, little-endian and packed; read by
    tests/support/reference_file.cc."""
    arrays = {name: np.ascontiguousarray(a) for name, a in arrays.items()}
    header = {**header, "arrays": [{"name": name, "dtype": str(a.dtype), "shape": a.shape}
                                   for name, a in arrays.items()]}
    out = pathlib.Path(path)
    out.parent.mkdir(parents=True, exist_ok=True)
    with open(out, "wb") as f:
        f.write(json.dumps(header).encode() + b"\n")
        for a in arrays.values():
            f.write(a.tobytes())
    print(f"{out}: {out.stat().st_size} bytes")
