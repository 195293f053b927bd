#!/usr/bin/env bash
# transformers 5.23.0: DebertaV2Tokenizer, made from a spm.model, does not replace characters as that
# model was trained to. A SentencePiece model of the usual rule nmt_nfkc holds a table
# (precompiled_charsmap) by which "…" becomes three full stops and letters of full width become plain
# ones; sentencepiece itself and transformers 4.57.6 go by it, 5.23.0 does not, so what the table
# replaces is unknown to the model, [UNK], without a word.
#
# Seen: "sentencepiece 0, 4.57.6 0, 5.23.0 2 unknown tokens"
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/train.py" <<'PYTHON'
import random
import sys

import sentencepiece

folder, words = sys.argv[1], "a good film was made by them . it is long and dull , but we like it".split()
random.seed(0)
lines = [" ".join(random.choices(words, k=8)) + "..." for _ in range(2000)]
with open(f"{folder}/text.txt", "w", encoding="utf-8") as file:
    file.write("\n".join(lines))
sentencepiece.SentencePieceTrainer.train(
    input=f"{folder}/text.txt", model_prefix=f"{folder}/spm", vocab_size=50, model_type="unigram",
    normalization_rule_name="nmt_nfkc", pad_id=0, unk_id=3, bos_id=1, eos_id=2,
    pad_piece="[PAD]", unk_piece="[UNK]", bos_piece="[CLS]", eos_piece="[SEP]", minloglevel=2,
)
pieces = sentencepiece.SentencePieceProcessor(model_file=f"{folder}/spm.model")
print(pieces.encode("it…").count(3) + pieces.encode("ｆilm").count(3))
PYTHON
cat > "$folder/read.py" <<'PYTHON'
import sys

import transformers

# The class has its name of version 4 in version 5 no longer.
kind = getattr(transformers, "DebertaV2Tokenizer" + "Fast" * (transformers.__version__ < "5"))
tokenizer = kind.from_pretrained(sys.argv[1])
ids = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in ("it…", "ｆilm")]
print(sum(one.count(tokenizer.unk_token_id) for one in ids))
PYTHON
declare -A unknown
for version in 4.57.6 5.23.0; do
    python3 -m venv "$folder/$version"
    "$folder/$version/bin/pip" install --quiet "transformers==$version" sentencepiece==0.2.1 protobuf==6.33.2 numpy==2.3.5
    mkdir -p "$folder/model"
    if [ "$version" = 4.57.6 ]; then
        unknown[own]=$("$folder/$version/bin/python" "$folder/train.py" "$folder")
        cp "$folder/spm.model" "$folder/model/"
        echo '{"model_type": "deberta-v2"}' > "$folder/model/config.json"
        echo '{"tokenizer_class": "DebertaV2Tokenizer"}' > "$folder/model/tokenizer_config.json"
    fi
    unknown[$version]=$("$folder/$version/bin/python" "$folder/read.py" "$folder/model")
done
said="sentencepiece ${unknown[own]}, 4.57.6 ${unknown[4.57.6]}, 5.23.0 ${unknown[5.23.0]} unknown tokens"
echo "$said"
[ "$said" = "sentencepiece 0, 4.57.6 0, 5.23.0 2 unknown tokens" ]
