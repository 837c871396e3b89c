# SPDX-License-Identifier: Apache-2.0
# Dumps that several experiments measure: three models over four kinds of text at 8,192 tokens, and over the handbook at rising
# lengths. Sourced from the root of the repository, after `bin`; made once, 3 GB under out/text-dumps.
dumps=out/text-dumps
models=(smollm2 qwen gemma3)
texts=(handbook handbook-de argparse key-values)
generated=128
mkdir -p "$dumps"

# Of Gemma the layers without a sliding window, of the others all.
layers_of() { [[ $1 == gemma3 ]] && echo 5,11,17 || echo ''; }

text_of() {
  [[ $1 != key-values ]] && { datasets/fetch "$1"; return; }
  # 7,700 to 8,100 tokens, by the vocabulary; the last 512 are answers.
  [[ -e $dumps/key-values.txt ]] || datasets/make_key_values.py --pairs 104 --asked 8 -o "$dumps/key-values.txt"
  echo "$dumps/key-values.txt"
}

make_dump() { # MODEL TEXT OUT OPTIONS...
  local layers
  layers=$(layers_of "$1")
  [[ -e $3 ]] || "$bin/dump/ra-dump" -m "$(datasets/fetch "$1")" -f "$(text_of "$2")" ${layers:+--layers "$layers"} --queries last:512 -o "$3" "${@:4}"
}

# Prints the path of a dump of 8,192 tokens, of which the last 512 keep their queries.
text_dump() { # MODEL TEXT
  make_dump "$1" "$2" "$dumps/$1-$2.h5" -n 8192 >&2
  echo "$dumps/$1-$2.h5"
}

# The last is all that SmolLM2's context holds.
lengths=(1024 2048 4096 8192)

# Prints the path of a dump of the handbook whose last 128 tokens are generated.
length_dump() { # MODEL TOKENS
  make_dump "$1" handbook "$dumps/$1-$2-generated.h5" -n $(($2 - generated)) --generate $generated --temp 0.8 >&2
  echo "$dumps/$1-$2-generated.h5"
}
