#!/usr/bin/env bash
# transformers 5.23.0 with tokenizers 0.23.3: whether BertTokenizer puts text into small letters is
# said by do_lower_case in tokenizer_config.json alone, true where it is left out. What the
# normalizer in tokenizer.json says is overwritten, so a cased tokenizer.json without its
# tokenizer_config.json reads as an uncased one: without a word, and with other tokens.
#
# Seen: "tokenizer.json keeps capitals: ['Fine', 'film'], BertTokenizer does not: ['fine', 'film']"
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet transformers==5.23.0 tokenizers==0.23.3
cd "$folder"
venv/bin/python - <<'PYTHON'
import json
from pathlib import Path

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import AutoTokenizer, BertConfig

words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "Fine", "fine", "film"]
vocabulary = {word: number for number, word in enumerate(words)}
own = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
own.normalizer = normalizers.BertNormalizer(lowercase=False)
own.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
own.save("tokenizer.json")
BertConfig(vocab_size=len(words)).save_pretrained(".")
said = own.encode("Fine film").tokens, AutoTokenizer.from_pretrained(".").tokenize("Fine film")
print("tokenizer.json keeps capitals: {}, BertTokenizer does not: {}".format(*said))
assert said == (["Fine", "film"], ["fine", "film"]), said
Path("tokenizer_config.json").write_text(json.dumps({"do_lower_case": False}))
assert AutoTokenizer.from_pretrained(".").tokenize("Fine film") == ["Fine", "film"]
PYTHON
