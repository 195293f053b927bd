#!/usr/bin/env bash
# transformers 5.23.0: a folder with a vocabulary of another class, here BERT's vocab.txt beside the
# config of a RoBERTa, an ALBERT or an XLM-RoBERTa, opens as a tokenizer that knows five special
# tokens and nothing else. Nothing is raised and nothing is said; every word becomes an unknown
# token or, for RoBERTa, nothing at all, so a classifier gives all sentences of a length, or all
# sentences, one answer.
#
# Seen: "5 tokens each: roberta [2, 3], albert [2, 1, 1, 1, 3], xlm-roberta [0, 3, 3, 3, 2]"
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet transformers==5.23.0 tokenizers==0.23.3
cd "$folder"
venv/bin/python - <<'PYTHON'
from pathlib import Path

from transformers import AlbertConfig, AutoTokenizer, RobertaConfig, XLMRobertaConfig

words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "fine", "film"]
found = {}
for config in (RobertaConfig, AlbertConfig, XLMRobertaConfig):
    folder = Path(config.model_type)
    config(vocab_size=len(words)).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")
    opened = AutoTokenizer.from_pretrained(folder)
    assert len(opened) == 5, len(opened)
    found[config.model_type] = opened("a fine film").input_ids
print("5 tokens each:", ", ".join(f"{name} {tokens}" for name, tokens in found.items()))
expected = {"roberta": [2, 3], "albert": [2, 1, 1, 1, 3], "xlm-roberta": [0, 3, 3, 3, 2]}
assert found == expected, found
PYTHON
