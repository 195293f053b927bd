"""BERT (Devlin et al. 2019), whose layers most other families took over."""

from __future__ import annotations

from bhpvas.model.families.base import Family, TokenizerClass, linear

PARTS = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "output": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "up": "intermediate.dense",
    "activation": "intermediate.intermediate_act_fn",
    "down": "output.dense",
    "feed_forward_norm": "output.LayerNorm",
}

WORD_PIECES = TokenizerClass(
    "BertTokenizer", ("vocab.txt",), "WordPiece", "[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"
)
BERT = Family(
    name="bert",
    title="BERT",
    model_class="BertForSequenceClassification",
    parts=PARTS,
    classify=lambda model, first: model.classifier(model.bert.pooler(first[:, None])),
    base="bert",
    pretraining=("cls",),
    tokenizer=WORD_PIECES,
    others=lambda config: (
        linear("bert.pooler.dense", config["hidden_size"], config["hidden_size"])
        | linear("classifier", len(config["id2label"]), config["hidden_size"])
    ),
)
