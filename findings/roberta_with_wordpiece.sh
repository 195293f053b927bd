#!/usr/bin/env bash
# transformers 5.23.0 with tokenizers 0.23.3: a folder whose config.json says RoBERTa and whose
# tokenizer.json is a WordPiece one, as a RoBERTa trained with BERT's vocabulary has it, opens
# without a word as a byte-level BPE made of that vocabulary. Words that it holds whole are cut into
# letters, so the model reads other tokens than it was trained on. tokenizers itself reads the file
# as it stands there. Naming the class (tokenizer_class "BertTokenizer") in tokenizer_config.json
# helps.
#
# Seen: "RobertaTokenizer gives ['a', 'f', 'f'], its own tokenizer.json ['a', 'fine', 'film']"
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet transformers==5.23.0 tokenizers==0.23.3
cd "$folder"
venv/bin/python - <<'PYTHON'
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoTokenizer, RobertaConfig

words = ["<pad>", "<s>", "</s>", "<unk>", "<mask>", "a", "fine", "film", "f"]
vocabulary = {word: number for number, word in enumerate(words)}
own = Tokenizer(models.WordPiece(vocabulary, unk_token="<unk>"))
own.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
own.save("tokenizer.json")
RobertaConfig(vocab_size=len(words)).save_pretrained(".")
opened = AutoTokenizer.from_pretrained(".")
said = opened.tokenize("a fine film"), own.encode("a fine film").tokens
print("{} gives {}, its own tokenizer.json {}".format(type(opened).__name__, *said))
assert said == (["a", "f", "f"], ["a", "fine", "film"]), said
PYTHON
